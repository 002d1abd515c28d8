//! Parent: serde's view of the tree, with errors that know where they were.
//!
//! An error collects the positions of the values it passes on its way out, so
//! that the faulty node can be named, dropped, and the rest be decoded again.

use std::fmt;
use std::slice;

use serde::de::value::StrDeserializer;
use serde::de::{
    self, DeserializeSeed, Deserializer, Expected, IntoDeserializer, MapAccess, SeqAccess,
    Unexpected, Visitor,
};
use serde::forward_to_deserialize_any;

use crate::json::{Member, Node, Value};

/// Why a node could not be decoded.
#[derive(Debug)]
pub(crate) struct DecodeError {
    pub(crate) kind: Kind,
    /// Positions of the node and those around it, innermost first.
    pub(crate) positions: Vec<usize>,
    /// The key of the node is at fault, not its value.
    pub(crate) at_key: bool,
}

#[derive(Debug)]
pub(crate) enum Kind {
    UnknownKey {
        expected: &'static [&'static str],
    },
    UnknownWord {
        word: String,
        expected: &'static [&'static str],
    },
    MissingKey(&'static str),
    /// What the value should have been, in serde's words.
    Mismatch(String),
    Other(String),
}

impl DecodeError {
    fn new(kind: Kind) -> DecodeError {
        DecodeError { kind, positions: Vec::new(), at_key: false }
    }

    fn inside(mut self, position: usize) -> DecodeError {
        self.positions.push(position);
        self
    }

    fn at_key(mut self, position: usize) -> DecodeError {
        self.at_key = true;
        self.inside(position)
    }
}

impl de::Error for DecodeError {
    fn custom<T: fmt::Display>(message: T) -> DecodeError {
        DecodeError::new(Kind::Other(message.to_string()))
    }

    fn invalid_type(_: Unexpected<'_>, expected: &dyn Expected) -> DecodeError {
        DecodeError::new(Kind::Mismatch(expected.to_string()))
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn Expected) -> DecodeError {
        DecodeError::new(Kind::Mismatch(expected.to_string()))
    }

    fn invalid_length(_: usize, expected: &dyn Expected) -> DecodeError {
        DecodeError::new(Kind::Mismatch(expected.to_string()))
    }

    fn unknown_variant(word: &str, expected: &'static [&'static str]) -> DecodeError {
        DecodeError::new(Kind::UnknownWord { word: word.to_owned(), expected })
    }

    fn unknown_field(_: &str, expected: &'static [&'static str]) -> DecodeError {
        DecodeError::new(Kind::UnknownKey { expected })
    }

    fn missing_field(key: &'static str) -> DecodeError {
        DecodeError::new(Kind::MissingKey(key))
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.kind)
    }
}

impl std::error::Error for DecodeError {}

/// Decodes a node, without those in it that were dropped.
pub(crate) struct NodeDeserializer<'a>(pub(crate) &'a Node<'a>);

impl<'de> Deserializer<'de> for NodeDeserializer<'_> {
    type Error = DecodeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match &self.0.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Unsigned(number) => visitor.visit_u64(*number),
            Value::Signed(number) => visitor.visit_i64(*number),
            Value::Float(number) => visitor.visit_f64(*number),
            Value::String(text) => visitor.visit_str(text),
            Value::Array(nodes) => visitor.visit_seq(Elements { rest: nodes.iter(), next: 0 }),
            Value::Object(members) => {
                visitor.visit_map(Members { rest: members.iter(), next: 0, value: None })
            }
        }
    }

    fn deserialize_tuple<V>(self, size: usize, visitor: V) -> Result<V::Value, DecodeError>
    where
        V: Visitor<'de>,
    {
        match &self.0.value {
            Value::Array(nodes) if nodes.len() == size => self.deserialize_any(visitor),
            _ => Err(de::Error::invalid_length(size, &visitor)),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        match &self.0.value {
            Value::String(name) => {
                let name: StrDeserializer<'_, DecodeError> = name.as_ref().into_deserializer();
                visitor.visit_enum(name)
            }
            _ => Err(de::Error::invalid_type(Unexpected::Unit, &"a string")),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
        option unit unit_struct newtype_struct seq tuple_struct map struct identifier ignored_any
    }
}

struct Elements<'a> {
    rest: slice::Iter<'a, Node<'a>>,
    next: usize,
}

impl<'de> SeqAccess<'de> for Elements<'_> {
    type Error = DecodeError;

    fn next_element_seed<T>(&mut self, seed: T) -> Result<Option<T::Value>, DecodeError>
    where
        T: DeserializeSeed<'de>,
    {
        for node in self.rest.by_ref() {
            let position = self.next;
            self.next += 1;
            if !node.dropped {
                let element = seed.deserialize(NodeDeserializer(node));
                return element.map(Some).map_err(|error| error.inside(position));
            }
        }
        Ok(None)
    }
}

struct Members<'a> {
    rest: slice::Iter<'a, Member<'a>>,
    next: usize,
    value: Option<&'a Node<'a>>,
}

impl<'de> MapAccess<'de> for Members<'_> {
    type Error = DecodeError;

    fn next_key_seed<K>(&mut self, seed: K) -> Result<Option<K::Value>, DecodeError>
    where
        K: DeserializeSeed<'de>,
    {
        for member in self.rest.by_ref() {
            let position = self.next;
            self.next += 1;
            if !member.node.dropped {
                self.value = Some(&member.node);
                let key: StrDeserializer<'_, DecodeError> = member.key.as_ref().into_deserializer();
                return seed.deserialize(key).map(Some).map_err(|error| error.at_key(position));
            }
        }
        Ok(None)
    }

    fn next_value_seed<V>(&mut self, seed: V) -> Result<V::Value, DecodeError>
    where
        V: DeserializeSeed<'de>,
    {
        let Some(node) = self.value.take() else {
            return Err(de::Error::custom("value without a key"));
        };
        let position = self.next - 1;
        seed.deserialize(NodeDeserializer(node)).map_err(|error| error.inside(position))
    }
}
