//! Parent: paths in JSON, which has text only: one that is no text is a list of bytes.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum AnyPath {
    Text(String),
    Bytes(Vec<u8>),
}

pub(crate) fn serialize<S: Serializer>(
    path: &Option<PathBuf>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let path = path.as_ref().map(|path| match path.to_str() {
        Some(text) => AnyPath::Text(text.to_owned()),
        None => AnyPath::Bytes(path.as_os_str().as_bytes().to_owned()),
    });
    path.serialize(serializer)
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<PathBuf>, D::Error> {
    Ok(Option::deserialize(deserializer)?.map(|path| match path {
        AnyPath::Text(text) => PathBuf::from(text),
        AnyPath::Bytes(bytes) => PathBuf::from(OsString::from_vec(bytes)),
    }))
}
