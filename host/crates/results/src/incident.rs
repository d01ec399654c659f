//! Incidents: what went wrong on the way, counted.

use kperf_metrics::Incident;

/// Distinct incidents that a summary lists. A plugin that puts a number into each message must not fill the folder.
const LISTED: usize = 200;

/// Incidents of a run, equal ones added up, in the order in which they were first seen.
#[derive(Debug, Clone, Default)]
pub(crate) struct IncidentList(Vec<Incident>);

impl IncidentList {
    pub(crate) fn add(&mut self, incident: Incident) {
        // Without a message it only adds to one that was told before.
        let same = |known: &&mut Incident| {
            (&known.source, &known.kind) == (&incident.source, &incident.kind)
                && (incident.message.is_empty() || known.message == incident.message)
        };
        if let Some(known) = self.0.iter_mut().find(same) {
            known.count += incident.count;
        } else if self.0.len() < LISTED {
            self.0.push(incident);
        } else {
            let message = "more of this kind; their messages are in journal.jsonl".to_owned();
            let length = self.0.len();
            match self.0.iter_mut().skip(LISTED).find(|i| i.source == incident.source && i.kind == incident.kind) {
                Some(rest) => rest.count += incident.count,
                // Kinds are few, but nothing holds a plugin to that.
                None if length < 2 * LISTED => self.0.push(Incident { message, ..incident }),
                None => {}
            }
        }
    }

    pub(crate) fn list(&self) -> &[Incident] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_count_adds_to_the_incident_it_follows() {
        let mut incidents = IncidentList::default();
        for (kind, message, count) in [("trap", "first", 1), ("denied", "other", 1), ("trap", "", 7)] {
            let (source, kind) = ("s".to_owned(), kind.to_owned());
            incidents.add(Incident { source, kind, message: message.to_owned(), count });
        }
        let list = incidents.list();
        assert_eq!(
            list.iter().map(|i| (i.message.as_str(), i.count)).collect::<Vec<_>>(),
            [("first", 8), ("other", 1)]
        );
    }

    #[test]
    fn equal_incidents_add_up_and_a_flood_is_cut() {
        let mut incidents = IncidentList::default();
        for at in 0..1000 {
            for message in ["the same", &format!("number {at}")] {
                let (source, kind) = ("s".to_owned(), "trap".to_owned());
                incidents.add(Incident { source, kind, message: message.to_owned(), count: 1 });
            }
        }
        let list = incidents.list();
        assert_eq!(list.len(), LISTED + 1);
        assert_eq!((list[0].message.as_str(), list[0].count), ("the same", 1000));
        assert_eq!(list.iter().map(|i| i.count).sum::<u64>(), 2000);
    }
}
