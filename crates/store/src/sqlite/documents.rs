//! The bulky part of a call, and the metadata that is looked for in it.

use std::{borrow::Cow, cell::RefCell, collections::BTreeSet};

use pegcount_calls::{Bill, Content, Document, Metadata};
use serde::{Deserialize, Serialize};
use zstd::bulk::{Compressor, Decompressor};

use super::{
    fault::{Result, unavailable, unreadable},
    sealing::{SEALED, locked},
};

/// JSON as it is.
const PLAIN: u8 = 0;
/// Four bytes of length (little-endian), then JSON through zstd.
const ZSTD: u8 = 1;
/// Below this compression gains less than it costs.
const SMALLEST_TO_COMPRESS: usize = 512;
/// The fastest: higher levels gain a tenth at several times the time.
pub(super) const LEVEL: i32 = 1;
/// No call is this large; a length beyond it is damage, not a reason to ask for memory.
const LARGEST: usize = 1 << 30;

/// Longest metadata key and value, in bytes, that can be looked for.
const LONGEST_INDEXED: usize = 256;

#[derive(Serialize)]
struct Packed<'a> {
    content: &'a Content,
    bill: &'a Bill,
}

/// What a body holds.
#[derive(Default, Deserialize)]
pub(super) struct Body {
    pub(super) content: Content,
    pub(super) bill: Bill,
}

/// The body of a call: the same for the same content.
pub(super) fn pack(compressor: &mut Compressor<'_>, content: &Content, bill: &Bill) -> Result<Vec<u8>> {
    let json = serde_json::to_vec(&Packed { content, bill }).map_err(unavailable)?;
    let mut body = Vec::with_capacity(json.len() + 1);
    if json.len() < SMALLEST_TO_COMPRESS {
        body.push(PLAIN);
        body.extend(json);
        return Ok(body);
    }
    let length = u32::try_from(json.len()).map_err(unavailable)?;
    body.push(ZSTD);
    body.extend(length.to_le_bytes());
    body.extend(compressor.compress(&json).map_err(unavailable)?);
    Ok(body)
}

/// How many bytes a body has when it is unpacked, as it says itself; none for one that [`unpack`] has only a fault for.
pub(super) fn unpacked_bytes(body: &[u8]) -> u64 {
    match body.split_first() {
        Some((&PLAIN, json)) => json.len() as u64,
        Some((&ZSTD, rest)) => rest.first_chunk().map_or(0, |length| u32::from_le_bytes(*length).into()),
        Some(_) | None => 0,
    }
}

/// What a body holds.
pub(super) fn unpack(body: &[u8]) -> Result<Body> {
    let damaged = |cause| unreadable("the document", cause);
    match body.split_first() {
        Some((&PLAIN, json)) => read(json),
        Some((&ZSTD, rest)) => {
            let (length, packed) = rest.split_first_chunk().ok_or_else(|| damaged("it is cut short"))?;
            let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
            if length > LARGEST {
                return Err(damaged("it claims an impossible length"));
            }
            read(&decompress(packed, length).map_err(|cause| unreadable("the document", cause))?)
        }
        Some((&SEALED, rest)) => Err(locked(rest)),
        Some(_) => Err(damaged("its encoding is unknown")),
        None => Err(damaged("it is empty")),
    }
}

thread_local! {
    /// Kept, since making one costs more than most documents.
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

fn decompress(packed: &[u8], length: usize) -> std::io::Result<Vec<u8>> {
    DECOMPRESSOR.with_borrow_mut(|kept| match kept {
        Some(decompressor) => decompressor.decompress(packed, length),
        None => kept.insert(Decompressor::new()?).decompress(packed, length),
    })
}

fn read(json: &[u8]) -> Result<Body> {
    serde_json::from_slice(json).map_err(|cause| unreadable("the document", cause))
}

/// The keys and values that a filter finds; too long ones are left out.
pub(super) fn pairs(metadata: &Metadata) -> BTreeSet<(Cow<'_, str>, String)> {
    let found = metadata.iter().map(|(key, value)| Some((Cow::Borrowed(key.as_str()), pair(key, value)?)));
    found.flatten().collect()
}

/// The text by which a filter finds the value of this key.
pub(super) fn pair(key: &str, value: &Document) -> Option<String> {
    let text = (key.len() <= LONGEST_INDEXED).then(|| text_of(value));
    text.filter(|text| text.len() <= LONGEST_INDEXED)
}

/// The text of a JSON string, else the JSON text.
fn text_of(value: &Document) -> String {
    let json = value.as_json_text();
    serde_json::from_str(json).unwrap_or_else(|_| json.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::StoreError;

    fn content(text: &str) -> Content {
        Content {
            transcript_text: Some(text.to_owned()),
            worst_packet_loss: Some(0.1 + 0.2),
            ..Content::default()
        }
    }

    #[test]
    fn a_body_is_read_back_as_it_was_packed_short_or_long() {
        let mut compressor = Compressor::new(LEVEL).unwrap();
        for (content, encoding) in [(content("short"), PLAIN), (content(&"long ".repeat(500)), ZSTD)] {
            let body = pack(&mut compressor, &content, &Bill::default()).unwrap();
            assert_eq!(body[0], encoding);
            let json = serde_json::to_vec(&Packed { content: &content, bill: &Bill::default() }).unwrap();
            assert_eq!(unpacked_bytes(&body), json.len() as u64);
            assert_eq!(unpack(&body).unwrap().content, content);
        }
    }

    #[test]
    fn a_damaged_body_is_told_as_such() {
        for body in [
            &[][..],
            &[9, 1],
            &[PLAIN, b'{'],
            &[ZSTD, 1],
            &[ZSTD, 255, 255, 255, 255, 0],
            &[ZSTD, 4, 0, 0, 0, 7],
        ] {
            let error = unpack(body).map(|_| ()).map_err(StoreError::from);
            assert!(matches!(error, Err(StoreError::Unreadable { .. })), "{body:?}");
        }
    }

    #[test]
    fn metadata_is_found_by_the_text_of_a_string_else_by_the_json() {
        let metadata: Metadata = [("a", r#""x\ty""#), ("b", "1.50"), ("c", r#"{"d":1}"#), ("e", "null")]
            .map(|(key, json)| (key.to_owned(), Document::from_json_text(json)))
            .into();
        let expected = [("a", "x\ty"), ("b", "1.50"), ("c", r#"{"d":1}"#), ("e", "null")];
        assert_eq!(pairs(&metadata), expected.map(|(key, value)| (key.into(), value.to_owned())).into());
    }
}
