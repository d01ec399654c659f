//! The stream of a run's events: where they are emitted, recorded, folded and shared.
//!
//! In comes an event; the fold takes it in, the journal writes it down, and every sink gets it. The journal alone may lose nothing:
//! when it can't be written any more the run is to end in order, and its verdict says so.

use std::cell::RefCell;
use std::sync::Arc;

use kperf_metrics::{DeliveryChange, Incident, Registry};
use kperf_plugin::Incidents;
use kperf_results::{Fold, Journal, MatrixHeader, RunEvent, RunFolder, RunHeader};
use tokio::sync::{mpsc, watch};

use crate::listeners::{Attaching, Ending, Listeners, Until};
use crate::tidy::{tidy, tidy_incident};

/// See the module. Everything happens on the thread of the run.
pub(crate) struct EventStream {
    state: RefCell<State>,
    broken: watch::Sender<bool>,
    incidents: Incidents,
    deliveries: mpsc::UnboundedSender<DeliveryChange>,
}

struct State {
    fold: Fold,
    /// None once it could not be written, and of a matrix.
    journal: Option<Journal>,
    listeners: Listeners,
    /// The last second that was merged.
    last: Option<Arc<RunEvent>>,
    reported: mpsc::UnboundedReceiver<Incident>,
    delivered: mpsc::UnboundedReceiver<DeliveryChange>,
}

impl EventStream {
    /// Makes the run's folder with its journal. Nothing has happened yet.
    ///
    /// # Errors
    /// When the folder can't be written, or holds a run already.
    pub(crate) fn begin(folder: &RunFolder, header: RunHeader, registry: Registry) -> std::io::Result<Self> {
        let journal = Journal::create(folder, &header)?;
        Ok(Self::new(header, registry, Some(journal)))
    }

    /// The stream of a matrix as a whole, which has a journal of another kind.
    pub(crate) fn of_matrix(matrix: &MatrixHeader, registry: Registry) -> Self {
        let header = RunHeader {
            schema: RunHeader::SCHEMA,
            run: matrix.run.clone(),
            scenarios: matrix.scenarios.clone(),
            thresholds: Vec::new(),
            tables: Vec::new(),
            severities: Vec::new(),
        };
        Self::new(header, registry, None)
    }

    fn new(header: RunHeader, registry: Registry, journal: Option<Journal>) -> Self {
        let (incidents, reported) = Incidents::channel();
        let (deliveries, delivered) = mpsc::unbounded_channel();
        let listeners = Listeners::new(incidents.clone());
        let state = RefCell::new(State {
            fold: Fold::new(header, registry),
            journal,
            listeners,
            last: None,
            reported,
            delivered,
        });
        Self { state, broken: watch::Sender::new(false), incidents, deliveries }
    }

    /// Where plugins and sinks report incidents; they are emitted once a second.
    pub(crate) fn incidents(&self) -> &Incidents {
        &self.incidents
    }

    /// Where reporters tell what becomes of their messages.
    pub(crate) fn deliveries(&self) -> &mpsc::UnboundedSender<DeliveryChange> {
        &self.deliveries
    }

    /// Adds a sink; it gets what happens from now on.
    pub(crate) fn attach(&self, sink: Attaching) {
        self.state.borrow_mut().listeners.attach(sink);
    }

    /// Something has happened.
    pub(crate) fn emit(&self, event: RunEvent) {
        let event = tidy(event);
        let state = &mut *self.state.borrow_mut();
        state.fold.apply(&event);
        if let Some(journal) = &mut state.journal
            && let Err(error) = journal.write(&event)
        {
            state.journal = None;
            let why = format!("can't write journal.jsonl: {error}; the run ends");
            tracing::error!("{why}");
            state.fold.unrecorded(&why);
            self.broken.send_replace(true);
        }
        let event = Arc::new(event);
        state.listeners.send(&event);
        if matches!(*event, RunEvent::Merged(_)) {
            // Dropped a second later, when the sinks are done with it: what this thread has allocated it frees itself.
            state.last = Some(event);
        }
    }

    /// Emits what plugins and sinks have reported.
    pub(crate) fn emit_reported(&self) {
        self.state.borrow_mut().listeners.report_lost();
        loop {
            let Ok(mut incident) = self.state.borrow_mut().reported.try_recv() else { break };
            tidy_incident(&mut incident);
            log(&incident);
            self.emit(RunEvent::Incident(incident));
        }
        loop {
            let Ok(change) = self.state.borrow_mut().delivered.try_recv() else { return };
            self.emit(RunEvent::Delivery(change));
        }
    }

    /// Waits until the journal can't be written.
    pub(crate) async fn broken(&self) {
        let mut broken = self.broken.subscribe();
        if broken.wait_for(|broken| *broken).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// What the run has come to so far.
    pub(crate) fn fold<T>(&self, look: impl FnOnce(&Fold) -> T) -> T {
        look(&self.state.borrow().fold)
    }

    /// Takes out what the run has come to; nothing that counts happens after that.
    pub(crate) fn take_fold(&self) -> Fold {
        let state = &mut *self.state.borrow_mut();
        let empty = Fold::new(state.fold.header().clone(), state.fold.totals().registry().clone());
        state.last = None;
        std::mem::replace(&mut state.fold, empty)
    }

    /// Takes out the sinks that listen no longer than `until`.
    pub(crate) fn close(&self, until: Until) -> Ending {
        self.state.borrow_mut().listeners.take(until)
    }
}

/// Logs an incident that a plugin or a sink has reported. One without a message only adds to an earlier one.
pub(crate) fn log(incident: &Incident) {
    if !incident.message.is_empty() {
        tracing::warn!("{}: {}: {}", incident.source, incident.kind, incident.message);
    }
}
