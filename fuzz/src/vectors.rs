//! The decoder of vectors: the same whatever the cutting, and the same as `serde_json` makes of the whole object.

use ollama_fast::float32::MAX_NUMBER;
use ollama_fast::vectors::Vectors;
use serde_json::Value;

use crate::cuts::Cuts;

const KEY: &str = "embeddings";

type Decoded = Result<(Vec<u8>, Vec<u32>, usize, usize), String>;

/// What `serde_json` finds under the key.
enum Plain {
    /// The bits of vectors of one length.
    Vectors(Vec<u32>, usize, usize),
    /// An array that is none of vectors.
    Others,
    /// No array.
    Nothing,
}

/// An object, and where to cut it.
///
/// # Panics
///
/// The cutting makes a difference, or `serde_json` does.
pub fn check(input: &[u8]) {
    let Some(cuts) = Cuts::of(input) else { return };
    let found = decode([cuts.whole]);
    assert_eq!(decode(cuts.pieces.iter().copied()), found);
    assert_eq!(decode(cuts.whole.chunks(1)), found);

    let whole: Option<Value> = serde_json::from_slice(cuts.whole).ok();
    match found {
        Ok((rest, numbers, vectors, length)) => {
            let Ok(rest) = serde_json::from_slice::<Value>(&rest) else {
                return; // whoever reads the rest will say so
            };
            let Some(whole) = whole else {
                panic!("what is no JSON was decoded")
            };
            match plain(&whole) {
                Plain::Vectors(expected, count, each) => {
                    assert_eq!((numbers, vectors, length), (expected, count, each));
                    assert_eq!(rest[KEY], Value::Array(Vec::new()));
                }
                Plain::Others => panic!("no vectors were decoded"),
                Plain::Nothing => assert!(numbers.is_empty() && rest == whole),
            }
        }
        Err(wrong) => {
            let is_good = whole.is_some_and(|whole| matches!(plain(&whole), Plain::Vectors(..)));
            assert!(!is_good || wrong.ends_with("is there twice"), "{wrong}");
        }
    }
}

fn decode<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Decoded {
    let mut vectors = Vectors::new(KEY);
    for piece in pieces {
        vectors.feed(piece).map_err(|wrong| wrong.to_string())?;
    }
    let found = vectors.close().map_err(|wrong| wrong.to_string())?;
    let numbers = found.numbers.as_chunks().0.iter();
    let bits = numbers.map(|bytes| u32::from_ne_bytes(*bytes)).collect();
    Ok((found.rest.to_vec(), bits, found.vectors, found.length))
}

fn plain(whole: &Value) -> Plain {
    let Some(Value::Array(found)) = whole.as_object().and_then(|object| object.get(KEY)) else {
        return Plain::Nothing;
    };
    let length = found.first().and_then(Value::as_array).map_or(0, Vec::len);
    let mut bits = Vec::new();
    for vector in found {
        match vector.as_array() {
            Some(vector) if vector.len() == length && length > 0 => {
                for number in vector {
                    let Some(value) = float32(number) else {
                        return Plain::Others;
                    };
                    bits.push(value.to_bits());
                }
            }
            _ => return Plain::Others,
        }
    }
    Plain::Vectors(bits, found.len(), length)
}

fn float32(number: &Value) -> Option<f32> {
    let text = number.as_number()?.as_str();
    text.parse()
        .ok()
        .filter(|value: &f32| value.is_finite() && text.len() <= MAX_NUMBER)
}
