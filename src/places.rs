//! Who may have a connection: how many there are, which are idle, and who waits in line. Knows no sockets, and no Python.
//!
//! Whoever asks gets a place at once, or joins the line. When a place becomes free, the first in line is called, and the
//! place is promised to it: nobody who asks later gets it, even if the one that was called takes a while to come.
#![deny(clippy::arithmetic_side_effects)]

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Where a connection leads: a host and a port.
pub type Place = (String, u16);

/// How many connections there may be.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// In use and idle.
    pub max_connections: usize,
    /// Idle.
    pub max_idle: usize,
    /// How long one may be idle.
    pub expiry: Option<Duration>,
}

impl Bounds {
    /// Take the limits of httpx, where `None` is no limit; seconds that are no time are no limit either.
    #[must_use]
    pub fn new(max_connections: Option<usize>, max_idle: Option<usize>, expiry: Option<f64>) -> Self {
        Self {
            max_connections: max_connections.unwrap_or(usize::MAX),
            max_idle: max_idle.unwrap_or(usize::MAX),
            expiry: expiry.and_then(|seconds| Duration::try_from_secs_f64(seconds.max(0.0)).ok()),
        }
    }
}

struct Idle<C> {
    connection: C,
    place: Place,
    since: Instant,
}

/// The connections `C` of a pool, and those that wait for one, `W`.
pub struct Places<C, W> {
    bounds: Bounds,
    /// Connections in use and idle ones.
    open: usize,
    /// The newest last.
    idle: Vec<Idle<C>>,
    line: VecDeque<W>,
    /// How many were called and have not come yet.
    promised: usize,
    generation: u64,
}

/// A place for a request.
#[derive(Debug, PartialEq, Eq)]
pub enum Grant<C> {
    /// On a connection that was kept.
    Kept(C),
    /// On one that is to be opened.
    New,
}

/// What came of asking, and the connections that are to be closed now.
pub struct Taken<C> {
    /// A place, or None if there is none for who asked.
    pub grant: Option<Grant<C>>,
    /// Expired, closed by the peer, or given up for a connection elsewhere. They count no more.
    pub dead: Vec<C>,
}

impl<C, W> Places<C, W> {
    /// No connections yet.
    #[must_use]
    pub const fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            open: 0,
            idle: Vec::new(),
            line: VecDeque::new(),
            promised: 0,
            generation: 0,
        }
    }

    /// How many connections are open, and how many of them are idle.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        (self.open, self.idle.len())
    }

    /// Which connections are kept: those that were opened since the pool was closed last.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    fn is_free(&self) -> bool {
        let room = self.bounds.max_connections.saturating_sub(self.open);
        room.saturating_add(self.idle.len()) > self.promised
    }

    /// Ask for a place.
    ///
    /// `called` says that it was promised; the promise is kept now. Without `may_open` only a connection that was kept
    /// will do. `is_quiet` tells whether such a one is still good.
    pub fn take(&mut self, place: &Place, called: bool, may_open: bool, is_quiet: impl Fn(&C) -> bool) -> Taken<C> {
        let mut dead = self.expired();
        if called {
            self.promised = self.promised.saturating_sub(1);
        } else if !self.line.is_empty() || !self.is_free() {
            return Taken { grant: None, dead };
        }
        if let Some(index) = self.find_kept(place, &mut dead, is_quiet) {
            let grant = Some(Grant::Kept(self.idle.remove(index).connection));
            return Taken { grant, dead };
        }
        let mut grant = None;
        if may_open {
            if self.open >= self.bounds.max_connections && !self.idle.is_empty() {
                dead.push(self.idle.remove(0).connection);
                self.open = self.open.saturating_sub(1);
            }
            if self.open < self.bounds.max_connections {
                self.open = self.open.saturating_add(1);
                grant = Some(Grant::New);
            }
        }
        Taken { grant, dead }
    }

    /// Whether a connection to this place is kept, and free for who has not waited; and those that are to be closed.
    pub fn has_kept(&mut self, place: &Place, is_quiet: impl Fn(&C) -> bool) -> (bool, Vec<C>) {
        let mut dead = self.expired();
        let is_free = self.line.is_empty() && self.is_free();
        let found = is_free && self.find_kept(place, &mut dead, is_quiet).is_some();
        (found, dead)
    }

    fn expired(&mut self) -> Vec<C> {
        let Some(expiry) = self.bounds.expiry else {
            return Vec::new();
        };
        let old = self
            .idle
            .iter()
            .take_while(|idle| idle.since.elapsed() >= expiry)
            .count();
        self.open = self.open.saturating_sub(old);
        self.idle.drain(..old).map(|idle| idle.connection).collect()
    }

    /// Find the newest connection to this place that is still good; those that are not are dead.
    fn find_kept(&mut self, place: &Place, dead: &mut Vec<C>, is_quiet: impl Fn(&C) -> bool) -> Option<usize> {
        while let Some(index) = self.idle.iter().rposition(|idle| idle.place == *place) {
            if self.idle.get(index).is_some_and(|idle| is_quiet(&idle.connection)) {
                return Some(index);
            }
            self.open = self.open.saturating_sub(1);
            dead.push(self.idle.remove(index).connection);
        }
        None
    }

    /// Give back a connection that can be used again; it is returned if it is to be closed, and counts no more then.
    pub fn give_back(&mut self, connection: C, place: Place, generation: u64) -> Option<C> {
        let lasts = self.bounds.expiry.is_none_or(|expiry| !expiry.is_zero());
        if lasts && generation == self.generation && self.idle.len() < self.bounds.max_idle {
            self.idle.push(Idle {
                connection,
                place,
                since: Instant::now(),
            });
            return None;
        }
        self.lose();
        Some(connection)
    }

    /// A connection in use is no more.
    pub fn lose(&mut self) {
        self.open = self.open.saturating_sub(1);
    }

    /// Close the pool: take all idle connections, and keep none of those that are in use now.
    pub fn close(&mut self) -> Vec<C> {
        self.generation = self.generation.wrapping_add(1);
        self.open = self.open.saturating_sub(self.idle.len());
        self.idle.drain(..).map(|idle| idle.connection).collect()
    }

    /// Join the line.
    pub fn join(&mut self, waiter: W) {
        self.line.push_back(waiter);
    }

    /// Call the first in line if there is a place for it.
    pub fn call_next(&mut self) -> Option<W> {
        if !self.is_free() {
            return None;
        }
        let waiter = self.line.pop_front()?;
        self.promised = self.promised.saturating_add(1);
        Some(waiter)
    }

    /// Leave the line, or give up what was promised to one that was called.
    pub fn leave(&mut self, is_it: impl Fn(&W) -> bool) -> Option<W> {
        if let Some(index) = self.line.iter().position(is_it) {
            return self.line.remove(index);
        }
        self.give_up();
        None
    }

    /// Give up a place that was promised.
    pub fn give_up(&mut self) {
        self.promised = self.promised.saturating_sub(1);
    }

    /// Those in line.
    pub fn waiting(&self) -> impl Iterator<Item = &W> {
        self.line.iter()
    }
}

impl<C: PartialEq, W> Places<C, W> {
    /// An idle connection is no more.
    pub fn lose_idle(&mut self, connection: &C) {
        let before = self.idle.len();
        self.idle.retain(|idle| idle.connection != *connection);
        self.open = self.open.saturating_sub(before.saturating_sub(self.idle.len()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(max_connections: usize, max_idle: usize) -> Places<u32, &'static str> {
        Places::new(Bounds::new(Some(max_connections), Some(max_idle), None))
    }

    fn at(name: &str) -> Place {
        (name.to_owned(), 80)
    }

    fn ask(places: &mut Places<u32, &'static str>, name: &str, called: bool) -> (Option<Grant<u32>>, Vec<u32>) {
        let taken = places.take(&at(name), called, true, |_| true);
        (taken.grant, taken.dead)
    }

    #[test]
    fn a_connection_is_kept_for_its_place() {
        let mut places = places(2, 2);
        assert_eq!(ask(&mut places, "a", false), (Some(Grant::New), vec![]));
        assert_eq!(places.give_back(1, at("a"), 0), None);
        assert_eq!(places.counts(), (1, 1));
        assert_eq!(ask(&mut places, "b", false), (Some(Grant::New), vec![]));
        assert_eq!(ask(&mut places, "a", false), (Some(Grant::Kept(1)), vec![]));
        assert_eq!(ask(&mut places, "a", false), (None, vec![]));
        assert_eq!(places.counts(), (2, 0));
    }

    #[test]
    fn an_idle_one_gives_way_to_another_place() {
        let mut places = places(1, 1);
        ask(&mut places, "a", false);
        places.give_back(1, at("a"), 0);
        assert_eq!(ask(&mut places, "b", false), (Some(Grant::New), vec![1]));
        assert_eq!(places.counts(), (1, 0));
    }

    #[test]
    fn what_is_dead_is_given_to_be_closed() {
        let mut places = places(2, 2);
        for _ in 0..2 {
            ask(&mut places, "a", false);
        }
        for connection in [1, 2] {
            places.give_back(connection, at("a"), 0);
        }
        let taken = places.take(&at("a"), false, true, |connection| *connection == 1);
        assert_eq!((taken.grant, taken.dead), (Some(Grant::Kept(1)), vec![2]));
        assert_eq!(places.counts(), (1, 0));
    }

    #[test]
    fn what_is_too_old_or_too_many_is_closed() {
        let mut places: Places<u32, ()> = Places::new(Bounds::new(None, Some(1), Some(1e-9)));
        for _ in 0..3 {
            places.take(&at("a"), false, true, |_| true);
        }
        assert_eq!(places.give_back(1, at("a"), 0), None);
        assert_eq!(places.give_back(2, at("a"), 0), Some(2));
        assert_eq!(places.has_kept(&at("a"), |_| true), (false, vec![1]));
        assert_eq!(places.counts(), (1, 0));
    }

    #[test]
    fn nothing_is_kept_for_no_time() {
        let mut places: Places<u32, ()> = Places::new(Bounds::new(None, None, Some(0.0)));
        places.take(&at("a"), false, true, |_| true);
        assert_eq!((places.give_back(1, at("a"), 0), places.counts()), (Some(1), (0, 0)));
    }

    #[test]
    fn the_first_in_line_is_served_first() {
        let mut places = places(1, 1);
        ask(&mut places, "a", false);
        places.join("first");
        places.join("second");
        assert_eq!(places.call_next(), None);
        places.give_back(1, at("a"), 0);
        assert_eq!(ask(&mut places, "a", false).0, None); // others wait for it
        assert_eq!(places.call_next(), Some("first"));
        assert_eq!(places.call_next(), None);
        assert_eq!(ask(&mut places, "a", false).0, None);
        assert_eq!(ask(&mut places, "a", true).0, Some(Grant::Kept(1)));
        places.lose();
        assert_eq!(places.call_next(), Some("second"));
        assert_eq!(ask(&mut places, "a", false).0, None); // promised, though nobody is in line
        assert_eq!(ask(&mut places, "a", true).0, Some(Grant::New));
    }

    #[test]
    fn who_leaves_holds_nobody_up() {
        let mut places = places(1, 1);
        ask(&mut places, "a", false);
        for name in ["first", "second", "third"] {
            places.join(name);
        }
        assert_eq!(places.leave(|name| *name == "second"), Some("second"));
        places.lose();
        assert_eq!(places.call_next(), Some("first"));
        assert_eq!(places.leave(|name| *name == "first"), None); // it was called: its place is free again
        assert_eq!(places.call_next(), Some("third"));
    }

    #[test]
    fn a_closed_pool_keeps_nothing_that_was_open() {
        let mut places = places(3, 3);
        for _ in 0..3 {
            ask(&mut places, "a", false);
        }
        let before = places.generation();
        places.give_back(1, at("a"), before);
        assert_eq!(places.close(), vec![1]);
        assert_eq!(places.give_back(2, at("a"), before), Some(2));
        assert_eq!(places.give_back(3, at("a"), places.generation()), None);
        assert_eq!(places.counts(), (1, 1));
    }
}
