//! The sockets of one event loop, the exchanges on them, and the pools that they belong to.

use std::collections::{HashMap, VecDeque};
use std::io::{self, ErrorKind};
use std::mem;
use std::net::{Shutdown, SocketAddr};
use std::process;
use std::time::Instant;

use mio::event::Event;
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use pyo3::prelude::*;

use super::exchange::{Exchange, Left, Shared, lock};
use crate::places::{Bounds, Grant, Place, Places};

const SCRATCH: usize = 64 * 1024;

/// The futures of tasks that are to be woken when no lock is held any more.
pub type Wakes = Vec<Py<PyAny>>;

/// The name of a pool in a table.
pub type PoolId = u64;

struct Slot {
    stream: TcpStream,
    place: Place,
    pool: PoolId,
    /// That of the pool when the connection was opened.
    generation: u64,
    exchange: Option<Shared>,
    connecting: bool,
}

/// The connections of a pool are numbers of slots; futures wait for them.
type Pool = Places<usize, Py<PyAny>>;

/// All that the readiness set watches.
pub struct Table {
    /// None once the set is closed.
    registry: Option<Registry>,
    slots: Vec<Option<Slot>>,
    free: Vec<usize>,
    pools: HashMap<PoolId, Pool>,
    next_pool: PoolId,
    /// The earliest of the deadlines that were set since it was taken.
    next_deadline: Option<Instant>,
    /// Slots of which more can be read, though no event will say so.
    unread: Vec<usize>,
    scratch: Vec<u8>,
    /// A child of fork has the table, too, but the connections are the parent's.
    process: u32,
}

impl Table {
    pub fn new(registry: Registry) -> Self {
        Self {
            registry: Some(registry),
            slots: Vec::new(),
            free: Vec::new(),
            pools: HashMap::new(),
            next_pool: 0,
            next_deadline: None,
            unread: Vec::new(),
            scratch: vec![0; SCRATCH],
            process: process::id(),
        }
    }

    // --- pools -------------------------------------------------------------------------------------------------------

    pub fn add_pool(&mut self, bounds: Bounds) -> PoolId {
        let id = self.next_pool;
        self.next_pool = id.saturating_add(1);
        self.pools.insert(id, Places::new(bounds));
        id
    }

    /// Forget a pool, which nobody waits for; connections in use end with their exchanges.
    pub fn remove_pool(&mut self, id: PoolId, wakes: &mut Wakes) {
        self.close_pool(id, wakes);
        self.pools.remove(&id);
    }

    /// Close the connections of a pool: the idle ones now, and those in use when their exchanges are over.
    pub fn close_pool(&mut self, id: PoolId, wakes: &mut Wakes) {
        let idle = self.pools.get_mut(&id).map(Pool::close).unwrap_or_default();
        self.discard(idle);
        self.call_next(id, wakes);
    }

    /// How many connections of a pool are open, and how many of them are idle.
    pub fn counts(&self, id: PoolId) -> (usize, usize) {
        self.pools.get(&id).map_or((0, 0), Pool::counts)
    }

    pub fn join(&mut self, id: PoolId, future: Py<PyAny>, wakes: &mut Wakes) {
        if let Some(pool) = self.pools.get_mut(&id) {
            pool.join(future);
        }
        self.call_next(id, wakes);
    }

    /// Take the future at this address out of the line; if it was called already, the next one is.
    pub fn leave(&mut self, id: PoolId, future: usize, wakes: &mut Wakes) -> Option<Py<PyAny>> {
        let pool = self.pools.get_mut(&id)?;
        let left = pool.leave(|one| one.as_ptr() as usize == future);
        self.call_next(id, wakes);
        left
    }

    /// Give up a place that was promised.
    pub fn give_up(&mut self, id: PoolId, wakes: &mut Wakes) {
        if let Some(pool) = self.pools.get_mut(&id) {
            pool.give_up();
        }
        self.call_next(id, wakes);
    }

    /// Tell those in line for whom there is a place.
    fn call_next(&mut self, id: PoolId, wakes: &mut Wakes) {
        if let Some(pool) = self.pools.get_mut(&id) {
            while let Some(future) = pool.call_next() {
                wakes.push(future);
            }
        }
    }

    /// Whether a connection to this place is there for who has not waited.
    pub fn has_idle(&mut self, id: PoolId, place: &Place) -> bool {
        let Self { pools, slots, .. } = self;
        let Some(pool) = pools.get_mut(&id) else {
            return false;
        };
        let (found, dead) = pool.has_kept(place, |index| is_quiet(slots, *index));
        self.discard(dead);
        found
    }

    /// Close connections that count no more.
    fn discard(&mut self, dead: Vec<usize>) {
        for index in dead {
            self.empty(index);
        }
    }

    /// Close the socket of a slot. The system takes a closed socket out of the readiness set by itself.
    fn empty(&mut self, index: usize) -> Option<Slot> {
        let slot = self.slots.get_mut(index).and_then(Option::take)?;
        self.free.push(index);
        Some(slot)
    }

    // --- exchanges ---------------------------------------------------------------------------------------------------

    /// Begin an exchange on an idle connection or a new one; false if there is no place for it.
    ///
    /// `called` says that it was in line, and a place is promised to it.
    pub fn begin(&mut self, id: PoolId, place: &Place, shared: &Shared, called: bool, wakes: &mut Wakes) -> bool {
        let mut exchange = lock(shared);
        let until = exchange.until;
        let Self { pools, slots, .. } = self;
        let Some(pool) = pools.get_mut(&id) else {
            return false;
        };
        let may_open = !exchange.addresses.is_empty();
        let fresh = exchange.fresh;
        let taken = pool.take(place, called, may_open, |index| !fresh && is_quiet(slots, *index));
        self.discard(taken.dead);
        match taken.grant {
            None => {
                self.call_next(id, wakes);
                return false;
            }
            Some(Grant::Kept(index)) => {
                if let Some(slot) = self.slots.get_mut(index).and_then(Option::as_mut) {
                    slot.exchange = Some(shared.clone());
                    exchange.slot = Some(index);
                    exchange.reused = true;
                    exchange.addresses = VecDeque::new();
                    exchange.send(&mut slot.stream);
                }
            }
            Some(Grant::New) => self.connect_next(id, place, shared, &mut exchange, wakes),
        }
        self.next_deadline = self.next_deadline.into_iter().chain(until).min();
        true
    }

    /// Connect to the next of the exchange's addresses; without one the exchange keeps the failure it has.
    fn connect_next(&mut self, id: PoolId, place: &Place, shared: &Shared, exchange: &mut Exchange, wakes: &mut Wakes) {
        while let Some(address) = exchange.addresses.pop_front() {
            match self.open(id, place, address) {
                Ok(index) => {
                    if let Some(slot) = self.slots.get_mut(index).and_then(Option::as_mut) {
                        slot.exchange = Some(shared.clone());
                    }
                    exchange.slot = Some(index);
                    exchange.connecting = true;
                    exchange.rearm();
                    return;
                }
                Err(error) if exchange.addresses.is_empty() => exchange.not_connected(&error),
                Err(_) => {}
            }
        }
        if !exchange.is_over() {
            exchange.not_connected(&io::Error::new(ErrorKind::AddrNotAvailable, "the name has no address"));
        }
        self.lose(id, wakes);
    }

    /// A connection in use is no more.
    fn lose(&mut self, id: PoolId, wakes: &mut Wakes) {
        if let Some(pool) = self.pools.get_mut(&id) {
            pool.lose();
        }
        self.call_next(id, wakes);
    }

    fn open(&mut self, id: PoolId, place: &Place, address: SocketAddr) -> io::Result<usize> {
        let Some(registry) = &self.registry else {
            return Err(io::Error::new(ErrorKind::NotConnected, "the event loop ends"));
        };
        let mut stream = TcpStream::connect(address)?;
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len().saturating_sub(1)
        });
        if let Err(error) = registry.register(&mut stream, Token(index), Interest::READABLE | Interest::WRITABLE) {
            self.free.push(index);
            return Err(error);
        }
        let generation = self.pools.get(&id).map_or(0, Pool::generation);
        if let Some(slot) = self.slots.get_mut(index) {
            *slot = Some(Slot {
                stream,
                place: place.clone(),
                pool: id,
                generation,
                exchange: None,
                connecting: true,
            });
        }
        Ok(index)
    }

    /// Close the connection of an exchange.
    fn hang_up(&mut self, index: usize, wakes: &mut Wakes) {
        if let Some(slot) = self.empty(index) {
            if self.process == process::id() {
                // To close it is not enough for the peer to see it while a child of fork has the socket, too.
                let _ = slot.stream.shutdown(Shutdown::Both); // it fails where the peer was faster
            }
            self.lose(slot.pool, wakes);
        }
    }

    /// Let go of the connection of an exchange that is over, and wake its task if it has what it wants.
    pub fn settle(&mut self, exchange: &mut Exchange, wakes: &mut Wakes) {
        if exchange.is_over()
            && let Some(index) = exchange.slot.take()
        {
            if exchange.leaves_connection() {
                self.keep(index, wakes);
            } else {
                self.hang_up(index, wakes);
            }
        }
        if let Some(waiter) = &exchange.waiter
            && exchange.has(waiter.want)
        {
            wakes.extend(exchange.give_up(waiter.number));
        }
        self.next_deadline = self.next_deadline.into_iter().chain(exchange.deadline).min();
    }

    fn keep(&mut self, index: usize, wakes: &mut Wakes) {
        let Some(slot) = self.slots.get_mut(index).and_then(Option::as_mut) else {
            return;
        };
        slot.exchange = None;
        let id = slot.pool;
        let refused = match self.pools.get_mut(&id) {
            Some(pool) => pool.give_back(index, slot.place.clone(), slot.generation),
            None => Some(index),
        };
        self.discard(refused.into_iter().collect());
        self.call_next(id, wakes);
    }

    /// Do what the readiness of one socket allows.
    pub fn on_event(&mut self, event: &Event, wakes: &mut Wakes) {
        let index = event.token().0;
        let ending = event.is_read_closed() || event.is_error();
        let Some(slot) = self.slots.get_mut(index).and_then(Option::as_mut) else {
            return;
        };
        let Some(shared) = slot.exchange.clone() else {
            // The readiness may be an old one, whose bytes came with the last response: so look before closing.
            let id = slot.pool;
            if !is_quiet(&self.slots, index) {
                self.empty(index);
                if let Some(pool) = self.pools.get_mut(&id) {
                    pool.lose_idle(&index);
                }
                self.call_next(id, wakes);
            }
            return;
        };
        let mut exchange = lock(&shared);
        if slot.connecting {
            if !(event.is_writable() || ending) {
                return;
            }
            if let Some(error) = slot.stream.take_error().ok().flatten() {
                self.try_next(index, &shared, &mut exchange, &error, wakes);
                return;
            }
            if slot.stream.peer_addr().is_err() {
                return; // the system said nothing yet
            }
            slot.connecting = false;
            exchange.connecting = false;
            let _ = slot.stream.set_nodelay(true); // it only makes things faster
            exchange.rearm();
        }
        if event.is_writable() {
            exchange.send(&mut slot.stream);
        }
        if (event.is_readable() || ending) && !exchange.paused {
            let left = exchange.receive(&mut slot.stream, &mut self.scratch, ending);
            if left == Left::Something {
                self.unread.push(index);
            }
        }
        self.settle(&mut exchange, wakes);
    }

    /// Read on where others had their turn first, or where the reader was slow.
    pub fn read_on(&mut self, wakes: &mut Wakes) {
        for index in mem::take(&mut self.unread) {
            let Some(slot) = self.slots.get_mut(index).and_then(Option::as_mut) else {
                continue;
            };
            if let Some(shared) = slot.exchange.clone()
                && !slot.connecting
            {
                let mut exchange = lock(&shared);
                if exchange.receive(&mut slot.stream, &mut self.scratch, true) == Left::Something {
                    self.unread.push(index);
                }
                self.settle(&mut exchange, wakes);
            }
        }
    }

    /// Take the earliest of the deadlines that were set.
    pub fn take_deadline(&mut self) -> Option<Instant> {
        self.next_deadline.take()
    }

    /// Whether `read_on` has something to do.
    pub fn has_unread(&self) -> bool {
        !self.unread.is_empty()
    }

    fn try_next(
        &mut self,
        index: usize,
        shared: &Shared,
        exchange: &mut Exchange,
        error: &io::Error,
        wakes: &mut Wakes,
    ) {
        let Some((id, place)) = self
            .slots
            .get(index)
            .and_then(Option::as_ref)
            .map(|slot| (slot.pool, slot.place.clone()))
        else {
            return;
        };
        exchange.slot = None;
        self.empty(index);
        if exchange.addresses.is_empty() {
            exchange.not_connected(error);
            self.lose(id, wakes);
        } else {
            self.connect_next(id, &place, shared, exchange, wakes); // its place in the pool stays with the exchange
        }
        self.settle(exchange, wakes);
    }

    /// Read again, in a turn of its own, for a reader that was slow.
    pub fn resume(&mut self, exchange: &mut Exchange) {
        if let Some(index) = exchange.slot {
            exchange.paused = false;
            self.unread.push(index);
        }
    }

    /// Send what was put into the outbox.
    pub fn send(&mut self, exchange: &mut Exchange, wakes: &mut Wakes) {
        if let Some(slot) = exchange
            .slot
            .and_then(|index| self.slots.get_mut(index))
            .and_then(Option::as_mut)
            && !slot.connecting
        {
            exchange.send(&mut slot.stream);
        }
        self.settle(exchange, wakes);
    }

    /// End an exchange whose reader goes away.
    pub fn abandon(&mut self, exchange: &mut Exchange, wakes: &mut Wakes) {
        if let Some(index) = exchange.slot.take() {
            self.hang_up(index, wakes);
        }
        exchange.fail(crate::failure::Failure::Closed);
        self.settle(exchange, wakes);
    }

    /// Fail every wait that lasts too long, and every exchange that does; give the next deadline.
    pub fn expire(&mut self, wakes: &mut Wakes) -> Option<Instant> {
        let now = Instant::now();
        let mut next: Option<Instant> = None;
        for index in 0..self.slots.len() {
            let Some(shared) = self
                .slots
                .get(index)
                .and_then(Option::as_ref)
                .and_then(|slot| slot.exchange.clone())
            else {
                continue;
            };
            let mut exchange = lock(&shared);
            let has_passed = |deadline: Option<Instant>| deadline.is_some_and(|deadline| deadline <= now);
            let waited_for = exchange.waiter.is_some();
            if waited_for && has_passed(exchange.deadline) || has_passed(exchange.until) {
                if exchange.connecting && !exchange.addresses.is_empty() && !has_passed(exchange.until) {
                    let error = io::Error::from(ErrorKind::TimedOut);
                    self.try_next(index, &shared, &mut exchange, &error, wakes);
                } else {
                    let failure = exchange.timed_out();
                    exchange.fail(failure);
                    self.settle(&mut exchange, wakes);
                    continue;
                }
            }
            let deadline = exchange.deadline.filter(|_| waited_for);
            next = deadline.into_iter().chain(exchange.until).chain(next).min();
        }
        next
    }

    /// The futures that the table keeps alive.
    pub fn visit(&self, mut see: impl FnMut(&Py<PyAny>)) {
        for pool in self.pools.values() {
            pool.waiting().for_each(&mut see);
        }
        for slot in self.slots.iter().flatten() {
            if let Some(shared) = &slot.exchange
                && let Ok(exchange) = shared.try_lock()
                && let Some(waiter) = &exchange.waiter
            {
                see(&waiter.future);
            }
        }
    }

    /// Close everything.
    pub fn close(&mut self, wakes: &mut Wakes) {
        self.registry = None;
        for index in 0..self.slots.len() {
            if let Some(shared) = self
                .slots
                .get(index)
                .and_then(Option::as_ref)
                .and_then(|slot| slot.exchange.clone())
            {
                self.abandon(&mut lock(&shared), wakes);
            }
        }
        let pools: Vec<PoolId> = self.pools.keys().copied().collect();
        for id in pools {
            self.close_pool(id, wakes);
        }
    }
}

/// Whether nothing came on an idle connection, neither its end nor bytes that nobody asked for.
fn is_quiet(slots: &[Option<Slot>], index: usize) -> bool {
    let slot = slots.get(index).and_then(Option::as_ref);
    let peeked = slot.map(|slot| slot.stream.peek(&mut [0]));
    matches!(peeked, Some(Err(error)) if error.kind() == ErrorKind::WouldBlock)
}
