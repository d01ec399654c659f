//! Protobuf's wire format, as much of it as messages of numbers and texts need: written here, since a crate with a code
//! generator weighs more than all the rest of this one.

/// A message that is being written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Message(Vec<u8>);

const VARINT: u32 = 0;
const FIXED64: u32 = 1;
const LENGTH: u32 = 2;

impl Message {
    /// What was written.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A field of `int32`, `int64`, `uint64`, `bool` or an enum.
    pub(crate) fn varint(&mut self, field: u32, value: u64) -> &mut Self {
        self.tag(field, VARINT);
        self.number(value);
        self
    }

    /// A field of `fixed64`.
    pub(crate) fn fixed64(&mut self, field: u32, value: u64) -> &mut Self {
        self.tag(field, FIXED64);
        self.0.extend(value.to_le_bytes());
        self
    }

    /// A field of `double`.
    pub(crate) fn double(&mut self, field: u32, value: f64) -> &mut Self {
        self.fixed64(field, value.to_bits())
    }

    /// A field of `string`.
    pub(crate) fn text(&mut self, field: u32, value: &str) -> &mut Self {
        self.bytes(field, value.as_bytes())
    }

    /// A field of another message.
    pub(crate) fn message(&mut self, field: u32, value: &Self) -> &mut Self {
        self.bytes(field, &value.0)
    }

    /// A packed repeated field of `fixed64` or, by their bits, `double`.
    pub(crate) fn packed(&mut self, field: u32, values: impl Iterator<Item = u64>) -> &mut Self {
        let bytes: Vec<u8> = values.flat_map(u64::to_le_bytes).collect();
        self.bytes(field, &bytes)
    }

    fn bytes(&mut self, field: u32, value: &[u8]) -> &mut Self {
        self.tag(field, LENGTH);
        self.number(value.len() as u64);
        self.0.extend(value);
        self
    }

    fn tag(&mut self, field: u32, kind: u32) {
        self.number(u64::from(field << 3 | kind));
    }

    /// Seven bits a byte, the lowest first, all but the last marked.
    fn number(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

/// Reads what was written, for tests.
#[cfg(test)]
pub(crate) mod reading {
    /// A field's value.
    #[derive(Debug, Clone, PartialEq)]
    pub(crate) enum Field {
        Number(u64),
        Bytes(Vec<u8>),
    }

    impl Field {
        pub(crate) fn double(&self) -> f64 {
            let Self::Number(bits) = self else { panic!("{self:?}") };
            f64::from_bits(*bits)
        }

        pub(crate) fn number(&self) -> u64 {
            let Self::Number(number) = self else { panic!("{self:?}") };
            *number
        }

        pub(crate) fn text(&self) -> String {
            let Self::Bytes(bytes) = self else { panic!("{self:?}") };
            String::from_utf8(bytes.clone()).unwrap()
        }

        pub(crate) fn message(&self) -> Fields {
            let Self::Bytes(bytes) = self else { panic!("{self:?}") };
            read(bytes)
        }
    }

    pub(crate) struct Fields(Vec<(u64, Field)>);

    impl Fields {
        pub(crate) fn all(&self, field: u64) -> impl Iterator<Item = &Field> {
            self.0.iter().filter(move |(number, _)| *number == field).map(|(_, value)| value)
        }

        pub(crate) fn one(&self, field: u64) -> &Field {
            self.all(field).next().unwrap_or_else(|| panic!("no field {field}: {:?}", self.0))
        }
    }

    pub(crate) fn read(mut bytes: &[u8]) -> Fields {
        let mut fields = Vec::new();
        while !bytes.is_empty() {
            let tag = number(&mut bytes);
            let value = match tag & 7 {
                0 => Field::Number(number(&mut bytes)),
                1 => Field::Number(u64::from_le_bytes(take(&mut bytes, 8).try_into().unwrap())),
                2 => {
                    let length = number(&mut bytes);
                    Field::Bytes(take(&mut bytes, usize::try_from(length).unwrap()).to_vec())
                }
                other => panic!("{other}"),
            };
            fields.push((tag >> 3, value));
        }
        Fields(fields)
    }

    fn take<'a>(bytes: &mut &'a [u8], length: usize) -> &'a [u8] {
        let (taken, rest) = bytes.split_at(length);
        *bytes = rest;
        taken
    }

    fn number(bytes: &mut &[u8]) -> u64 {
        let mut value = 0;
        for shift in (0..).step_by(7) {
            let byte = take(bytes, 1)[0];
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                break;
            }
        }
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of Protobuf's own description of its encoding.
    #[test]
    fn the_published_examples_are_written_as_they_stand() {
        let mut one = Message::default();
        one.varint(1, 150);
        assert_eq!(one.clone().into_bytes(), [0x08, 0x96, 0x01]);
        let mut two = Message::default();
        two.text(2, "testing");
        assert_eq!(two.into_bytes(), [0x12, 0x07, 0x74, 0x65, 0x73, 0x74, 0x69, 0x6e, 0x67]);
        let mut three = Message::default();
        three.message(3, &one);
        assert_eq!(three.into_bytes(), [0x1a, 0x03, 0x08, 0x96, 0x01]);
        let mut rest = Message::default();
        rest.double(1, 1.0).packed(20, [2].into_iter());
        assert_eq!(rest.into_bytes(), [9, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 0xa2, 1, 8, 2, 0, 0, 0, 0, 0, 0, 0]);
    }
}
