//! The usual line, an object of plain values, to Python objects: jiter's result, sooner.
//!
//! Two things make it quick: a key is looked up, first where it was found the last time, and so is a value that is the
//! same on every line. What is rarer (huge integers, surrogate pairs, odd keys, long texts) or wrong is left to jiter,
//! which alone says what is wrong.
#![deny(clippy::arithmetic_side_effects)]

use std::borrow::Cow;
use std::sync::Mutex;

use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyList, PyNone, PyString};

use crate::scan::{Number, Scanner};

/// The longest text tried, in bytes: in longer ones the strings and numbers themselves are the work, and what was begun
/// here and not finished is done twice.
const LONGEST: usize = 4096;

/// How deep objects and lists may stand in one another; jiter's own limit is far higher.
const DEEPEST: u8 = 16;

/// The longest key or value remembered, in bytes.
const LONGEST_REMEMBERED: usize = 64;

/// How many keys are remembered: twice those that Ollama has.
const SLOTS: usize = 128;

/// How many keys are interned at most. An interned string may stay as long as the interpreter, so their number is bounded
/// even where keys never come twice; the rest are as good, only slower to look up.
const INTERNED: usize = 512;

/// The keys whose values hardly change from line to line.
const STEADY: [&[u8]; 4] = [b"model", b"role", b"status", b"done_reason"];

/// How many texts may be decoded at a time. More than one are only where finalizers or threads come in between; the
/// others are left to jiter.
const AT_ONCE: usize = 4;

/// Shared by all threads, since one that ends lets go of what is its own without the interpreter's lock. `PyO3` then
/// notes it behind a mutex, and a fork in that moment leaves that mutex locked in the child for ever. They belong to one
/// interpreter, as `PyO3` lets a module into one only.
///
/// Nobody waits for these locks: one that is held at a fork, in the middle of a finalizer, costs the child some speed.
static KEYS: [Mutex<Keys>; AT_ONCE] = [const { Mutex::new(Keys::new()) }; AT_ONCE];

/// Decode `text` if it is an object of the usual kind; `None` says nothing about it.
pub fn object<'py>(py: Python<'py>, text: &[u8]) -> Option<Bound<'py, PyAny>> {
    if text.len() > LONGEST {
        return None;
    }
    // Making a dict may start a garbage collection, and a finalizer may decode: that one finds these taken.
    let mut keys = KEYS.iter().find_map(|keys| keys.try_lock().ok())?;
    let mut builder = Builder {
        py,
        scanner: Scanner::new(text),
        keys: &mut keys,
    };
    if builder.scanner.token()? != b'{' {
        return None;
    }
    let object = builder.object(DEEPEST)?;
    builder.scanner.token().is_none().then_some(object)
}

struct Builder<'a, 'k, 'py> {
    py: Python<'py>,
    scanner: Scanner<'a>,
    keys: &'k mut Keys,
}

impl<'py> Builder<'_, '_, 'py> {
    /// The rest of an object whose brace was taken; `depth` levels may follow.
    fn object(&mut self, depth: u8) -> Option<Bound<'py, PyAny>> {
        let py = self.py;
        let object = PyDict::new(py);
        let mut token = self.scanner.token()?;
        if token == b'}' {
            return Some(object.into_any());
        }
        loop {
            if token != b'"' {
                return None;
            }
            let key = self.keys.read(py, &mut self.scanner)?;
            if self.scanner.token()? != b':' {
                return None;
            }
            match self.scanner.token()? {
                b'"' => {
                    let value = key.value(py, &mut self.scanner)?;
                    object.set_item(&key.name, value).ok()?;
                }
                token => {
                    // A name of its own, because inside the value the slot may be given to another key.
                    let name = key.name.bind(py).clone();
                    object.set_item(name, self.value(token, depth)?).ok()?;
                }
            }
            match self.scanner.token()? {
                b',' => token = self.scanner.token()?,
                b'}' => return Some(object.into_any()),
                _ => return None,
            }
        }
    }

    /// The rest of a list whose bracket was taken.
    fn list(&mut self, depth: u8) -> Option<Bound<'py, PyAny>> {
        let mut items = Vec::new();
        let mut token = self.scanner.token()?;
        if token != b']' {
            loop {
                items.push(self.value(token, depth)?);
                match self.scanner.token()? {
                    b',' => token = self.scanner.token()?,
                    b']' => break,
                    _ => return None,
                }
            }
        }
        PyList::new(self.py, items).ok().map(Bound::into_any)
    }

    /// The rest of the value that begins with `token`.
    fn value(&mut self, token: u8, depth: u8) -> Option<Bound<'py, PyAny>> {
        let py = self.py;
        match token {
            // Python looks whether it is UTF-8; once is enough.
            b'"' => PyString::from_bytes(py, &self.scanner.text()?)
                .ok()
                .map(Bound::into_any),
            b'{' => self.object(depth.checked_sub(1)?),
            b'[' => self.list(depth.checked_sub(1)?),
            b'-' | b'0'..=b'9' => match self.scanner.number(token)? {
                Number::Int(number) => number.into_pyobject(py).ok().map(Bound::into_any),
                Number::Float(number) => Some(PyFloat::new(py, number).into_any()),
            },
            b't' => self
                .scanner
                .literal(b"rue")
                .map(|()| PyBool::new(py, true).to_owned().into_any()),
            b'f' => self
                .scanner
                .literal(b"alse")
                .map(|()| PyBool::new(py, false).to_owned().into_any()),
            b'n' => self
                .scanner
                .literal(b"ull")
                .map(|()| PyNone::get(py).to_owned().into_any()),
            _ => None,
        }
    }
}

/// The keys seen lately, each in the slot that its bytes choose. They hold str only: nothing that a caller could change.
struct Keys {
    slots: [Option<Key>; SLOTS],
    /// The slot of the key read last.
    latest: usize,
    /// How many keys were interned.
    interned: usize,
}

struct Key {
    /// Its bytes and the quote behind them.
    quoted: Box<[u8]>,
    name: Py<PyString>,
    /// The slot of the key that was read after this one, in this object or another: a guess for the next time.
    next: usize,
    /// For a steady key, the value given last.
    last: Option<(Box<[u8]>, Py<PyString>)>,
    is_steady: bool,
}

impl Keys {
    const fn new() -> Self {
        Self {
            slots: [const { None }; SLOTS],
            latest: 0,
            interned: 0,
        }
    }

    /// The key whose opening quote was taken: the one guessed, if it stands there, and else the one found by its bytes.
    fn read(&mut self, py: Python<'_>, scanner: &mut Scanner<'_>) -> Option<&mut Key> {
        let guess = self.slots.get(self.latest)?.as_ref().map_or(0, |key| key.next);
        if let Some(key) = self.slots.get(guess)?
            && scanner.literal(&key.quoted).is_some()
        {
            self.latest = guess;
        } else {
            let Cow::Borrowed(raw) = scanner.text()? else {
                return None;
            };
            let found = self.find(py, raw)?;
            if let Some(Some(key)) = self.slots.get_mut(self.latest) {
                key.next = found;
            }
            self.latest = found;
        }
        self.slots.get_mut(self.latest)?.as_mut()
    }

    /// The slot of the key of these bytes, which is remembered in place of another.
    #[inline(never)]
    fn find(&mut self, py: Python<'_>, raw: &[u8]) -> Option<usize> {
        let found = slot(raw)?;
        let slot = self.slots.get_mut(found)?;
        let is_there = slot
            .as_ref()
            .is_some_and(|key| key.quoted.strip_suffix(b"\"") == Some(raw));
        if !is_there {
            let intern = self.interned < INTERNED;
            *slot = Some(Key::new(py, raw, intern)?);
            self.interned = self.interned.saturating_add(usize::from(intern));
        }
        Some(found)
    }
}

impl Key {
    fn new(py: Python<'_>, raw: &[u8], intern: bool) -> Option<Self> {
        if raw.len() > LONGEST_REMEMBERED {
            return None;
        }
        // Interned, as the literals in a caller's code are: `part["message"]` then compares no characters.
        let text = str::from_utf8(raw).ok()?;
        let name = if intern {
            PyString::intern(py, text)
        } else {
            PyString::new(py, text)
        };
        Some(Self {
            quoted: quoted(raw),
            name: name.unbind(),
            next: 0,
            last: None,
            is_steady: STEADY.contains(&raw),
        })
    }

    /// The string whose opening quote was taken, as the value; for a steady key, the one given last if it stands there.
    fn value<'py>(&mut self, py: Python<'py>, scanner: &mut Scanner<'_>) -> Option<Bound<'py, PyString>> {
        if let Some((quoted, value)) = &self.last
            && scanner.literal(quoted).is_some()
        {
            return Some(value.bind(py).clone());
        }
        let text = scanner.text()?;
        let value = PyString::from_bytes(py, &text).ok()?;
        if self.is_steady
            && let Cow::Borrowed(raw) = text
            && raw.len() <= LONGEST_REMEMBERED
        {
            self.last = Some((quoted(raw), value.clone().unbind()));
        }
        Some(value)
    }
}

/// The bytes of a string without escapes, and the quote behind them: it stands in a text exactly where these bytes do.
fn quoted(raw: &[u8]) -> Box<[u8]> {
    [raw, b"\""].concat().into()
}

/// A number below `SLOTS` for a key that is not empty. The factors were tried out: of the keys in Ollama's streams only
/// "content" and "context" share a slot, and those stand in no line together.
#[inline]
fn slot(raw: &[u8]) -> Option<usize> {
    let middle = raw.get(raw.len() / 2)?;
    let sum = raw.len().wrapping_mul(5);
    let sum = sum.wrapping_add(usize::from(*raw.first()?).wrapping_mul(5));
    let sum = sum.wrapping_add(usize::from(*middle).wrapping_mul(83));
    let sum = sum.wrapping_add(usize::from(*raw.last()?).wrapping_mul(11));
    Some(sum % SLOTS)
}
