//! The sockets of one event loop, the exchanges on them, and the pools that they belong to.

use std::collections::{HashMap, VecDeque};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::event::Event;
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use pyo3::prelude::*;

use super::exchange::{Exchange, Shared, lock};

const SCRATCH: usize = 64 * 1024;

/// The futures of tasks that are to be woken when no lock is held any more.
pub type Wakes = Vec<Py<PyAny>>;

/// Where a connection leads.
pub type Place = (String, u16);

/// The name of a pool in a table.
pub type PoolId = u64;

struct Slot {
    stream: TcpStream,
    place: Place,
    pool: PoolId,
    exchange: Option<Shared>,
    connecting: bool,
}

/// Bounds of a pool.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    pub max_connections: usize,
    pub max_idle: usize,
    pub expiry: Option<Duration>,
}

struct Pool {
    bounds: Bounds,
    open: usize,
    /// Slots of connections without an exchange, and since when; the newest last.
    idle: Vec<(usize, Instant)>,
    waiting: VecDeque<Py<PyAny>>,
}

/// All that the readiness set watches.
pub struct Table {
    registry: Registry,
    slots: Vec<Option<Slot>>,
    free: Vec<usize>,
    pools: HashMap<PoolId, Pool>,
    next_pool: PoolId,
    scratch: Vec<u8>,
}

impl Table {
    pub fn new(registry: Registry) -> Self {
        Self {
            registry,
            slots: Vec::new(),
            free: Vec::new(),
            pools: HashMap::new(),
            next_pool: 0,
            scratch: vec![0; SCRATCH],
        }
    }

    // --- pools -------------------------------------------------------------------------------------------------------

    pub fn add_pool(&mut self, bounds: Bounds) -> PoolId {
        let id = self.next_pool;
        self.next_pool = id.saturating_add(1);
        let pool = Pool {
            bounds,
            open: 0,
            idle: Vec::new(),
            waiting: VecDeque::new(),
        };
        self.pools.insert(id, pool);
        id
    }

    /// Forget a pool; connections in use end with their exchanges.
    pub fn remove_pool(&mut self, id: PoolId, wakes: &mut Wakes) {
        self.close_idle(id, wakes);
        if let Some(pool) = self.pools.remove(&id) {
            wakes.extend(pool.waiting);
        }
    }

    /// Close the connections of a pool that are not in use.
    pub fn close_idle(&mut self, id: PoolId, wakes: &mut Wakes) {
        let idle = self
            .pools
            .get_mut(&id)
            .map(|pool| std::mem::take(&mut pool.idle))
            .unwrap_or_default();
        for (slot, _) in idle {
            self.close(slot, wakes);
        }
    }

    /// How many connections of a pool are open, and how many of them are idle.
    pub fn counts(&self, id: PoolId) -> (usize, usize) {
        self.pools.get(&id).map_or((0, 0), |pool| (pool.open, pool.idle.len()))
    }

    pub fn enqueue(&mut self, id: PoolId, future: Py<PyAny>, in_front: bool) {
        if let Some(pool) = self.pools.get_mut(&id) {
            if in_front {
                pool.waiting.push_front(future);
            } else {
                pool.waiting.push_back(future);
            }
        }
    }

    /// Take the future at this address out of the queue; if it was told already, the next one is.
    pub fn dequeue(&mut self, id: PoolId, future: usize, wakes: &mut Wakes) -> Option<Py<PyAny>> {
        let waiting = &mut self.pools.get_mut(&id)?.waiting;
        if let Some(index) = waiting.iter().position(|one| one.as_ptr() as usize == future) {
            return waiting.remove(index);
        }
        wakes.extend(waiting.pop_front());
        None
    }

    /// Tell the first in the queue that a connection may be free.
    fn wake_next(&mut self, id: PoolId, wakes: &mut Wakes) {
        wakes.extend(self.pools.get_mut(&id).and_then(|pool| pool.waiting.pop_front()));
    }

    /// An idle connection to this place; one that expired is closed.
    fn idle(&mut self, id: PoolId, place: &Place, wakes: &mut Wakes) -> Option<usize> {
        let pool = self.pools.get_mut(&id)?;
        let expired = |since: &Instant| pool.bounds.expiry.is_some_and(|expiry| since.elapsed() >= expiry);
        let count = pool.idle.iter().take_while(|(_, since)| expired(since)).count();
        let old: Vec<usize> = pool.idle.drain(..count).map(|(slot, _)| slot).collect();
        for slot in old {
            self.close(slot, wakes);
        }
        let Self { pools, slots, .. } = self;
        let pool = pools.get_mut(&id)?;
        let leads_there = |slot: usize| {
            slots
                .get(slot)
                .and_then(Option::as_ref)
                .is_some_and(|slot| slot.place == *place)
        };
        let index = pool.idle.iter().rposition(|(slot, _)| leads_there(*slot))?;
        Some(pool.idle.remove(index).0)
    }

    pub fn has_idle(&mut self, id: PoolId, place: &Place, wakes: &mut Wakes) -> bool {
        while let Some(slot) = self.idle(id, place, wakes) {
            if self.is_quiet(slot) {
                if let Some(pool) = self.pools.get_mut(&id) {
                    pool.idle.push((slot, Instant::now()));
                }
                return true;
            }
            self.close(slot, wakes);
        }
        false
    }

    /// Whether nothing came on an idle connection, neither its end nor bytes that nobody asked for.
    fn is_quiet(&self, slot: usize) -> bool {
        let peeked = self
            .slots
            .get(slot)
            .and_then(Option::as_ref)
            .map(|slot| slot.stream.peek(&mut [0]));
        matches!(peeked, Some(Err(error)) if error.kind() == ErrorKind::WouldBlock)
    }

    // --- exchanges ---------------------------------------------------------------------------------------------------

    /// Begin an exchange on an idle connection or a new one; false if the pool is full.
    pub fn begin(&mut self, id: PoolId, place: &Place, shared: &Shared, wakes: &mut Wakes) -> bool {
        let mut exchange = lock(shared);
        while let Some(index) = self.idle(id, place, wakes) {
            let quiet = self.is_quiet(index);
            if let Some(slot) = self.slots.get_mut(index).and_then(Option::as_mut)
                && quiet
            {
                slot.exchange = Some(shared.clone());
                exchange.slot = Some(index);
                exchange.reused = true;
                exchange.send(&mut slot.stream);
                return true;
            }
            self.close(index, wakes);
        }
        if exchange.addresses.is_empty() || !self.make_room(id, wakes) {
            return false;
        }
        self.connect_next(id, place, shared, &mut exchange, wakes);
        true
    }

    fn make_room(&mut self, id: PoolId, wakes: &mut Wakes) -> bool {
        let Some(pool) = self.pools.get_mut(&id) else {
            return false;
        };
        if pool.open < pool.bounds.max_connections {
            return true;
        }
        if pool.idle.is_empty() {
            return false;
        }
        let (oldest, _) = pool.idle.remove(0);
        self.close(oldest, wakes);
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
        self.wake_next(id, wakes);
    }

    fn open(&mut self, id: PoolId, place: &Place, address: SocketAddr) -> io::Result<usize> {
        let mut stream = TcpStream::connect(address)?;
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len().saturating_sub(1)
        });
        if let Err(error) = self
            .registry
            .register(&mut stream, Token(index), Interest::READABLE | Interest::WRITABLE)
        {
            self.free.push(index);
            return Err(error);
        }
        if let Some(slot) = self.slots.get_mut(index) {
            *slot = Some(Slot {
                stream,
                place: place.clone(),
                pool: id,
                exchange: None,
                connecting: true,
            });
        }
        if let Some(pool) = self.pools.get_mut(&id) {
            pool.open = pool.open.saturating_add(1);
        }
        Ok(index)
    }

    /// Close a connection. The system takes a closed socket out of the readiness set by itself.
    fn close(&mut self, index: usize, wakes: &mut Wakes) {
        let Some(slot) = self.slots.get_mut(index).and_then(Option::take) else {
            return;
        };
        self.free.push(index);
        if let Some(pool) = self.pools.get_mut(&slot.pool) {
            pool.open = pool.open.saturating_sub(1);
            pool.idle.retain(|(idle, _)| *idle != index);
            wakes.extend(pool.waiting.pop_front());
        }
    }

    /// Let go of the connection of an exchange that is over.
    pub fn settle(&mut self, exchange: &mut Exchange, wakes: &mut Wakes) {
        if exchange.is_over()
            && let Some(index) = exchange.slot.take()
        {
            let slot = self.slots.get_mut(index).and_then(Option::as_mut);
            let pool = slot.as_ref().and_then(|slot| self.pools.get_mut(&slot.pool));
            match (slot, pool) {
                (Some(slot), Some(pool)) if exchange.leaves_connection() && pool.idle.len() < pool.bounds.max_idle => {
                    slot.exchange = None;
                    pool.idle.push((index, Instant::now()));
                    wakes.extend(pool.waiting.pop_front());
                }
                _ => self.close(index, wakes),
            }
        }
        if let Some((_, want)) = exchange.waiter
            && exchange.has(want)
            && let Some((future, _)) = exchange.waiter.take()
        {
            exchange.deadline = None;
            wakes.push(future);
        }
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
            if !self.is_quiet(index) {
                self.close(index, wakes);
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
            slot.connecting = false;
            exchange.connecting = false;
            let _ = slot.stream.set_nodelay(true); // it only makes things faster
            exchange.rearm();
        }
        if event.is_writable() {
            exchange.send(&mut slot.stream);
        }
        if (event.is_readable() || ending) && !exchange.paused {
            exchange.receive(&mut slot.stream, &mut self.scratch, ending);
        }
        self.settle(&mut exchange, wakes);
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
        let more = !exchange.addresses.is_empty();
        if more {
            // The place in the pool stays with the exchange: nobody is woken for it.
            self.close(index, &mut Wakes::new());
            self.connect_next(id, &place, shared, exchange, wakes);
        } else {
            self.close(index, wakes);
            exchange.not_connected(error);
        }
        self.settle(exchange, wakes);
    }

    /// Read again for a reader that was slow.
    pub fn resume(&mut self, exchange: &mut Exchange, wakes: &mut Wakes) {
        if let Some(slot) = exchange
            .slot
            .and_then(|index| self.slots.get_mut(index))
            .and_then(Option::as_mut)
        {
            exchange.receive(&mut slot.stream, &mut self.scratch, true);
        }
        self.settle(exchange, wakes);
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
            self.close(index, wakes);
        }
        exchange.fail(crate::failure::Failure::Closed);
        self.settle(exchange, wakes);
    }

    /// Fail every wait that lasts too long; give the next deadline.
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
            if exchange.waiter.is_none() {
                continue;
            }
            if exchange.deadline.is_some_and(|deadline| deadline <= now) {
                if exchange.connecting && !exchange.addresses.is_empty() {
                    let error = io::Error::from(ErrorKind::TimedOut);
                    self.try_next(index, &shared, &mut exchange, &error, wakes);
                } else {
                    let failure = exchange.timed_out();
                    exchange.fail(failure);
                    self.settle(&mut exchange, wakes);
                }
            }
            next = exchange.deadline.into_iter().chain(next).min();
        }
        next
    }

    /// The futures that the table keeps alive.
    pub fn visit(&self, mut see: impl FnMut(&Py<PyAny>)) {
        for pool in self.pools.values() {
            pool.waiting.iter().for_each(&mut see);
        }
        for slot in self.slots.iter().flatten() {
            if let Some(shared) = &slot.exchange
                && let Ok(exchange) = shared.try_lock()
                && let Some((future, _)) = &exchange.waiter
            {
                see(future);
            }
        }
    }

    /// Close everything.
    pub fn clear(&mut self) -> Wakes {
        let mut wakes = Wakes::new();
        for index in 0..self.slots.len() {
            if let Some(shared) = self
                .slots
                .get(index)
                .and_then(Option::as_ref)
                .and_then(|slot| slot.exchange.clone())
            {
                self.abandon(&mut lock(&shared), &mut wakes);
            }
        }
        let pools: Vec<PoolId> = self.pools.keys().copied().collect();
        for id in pools {
            self.close_idle(id, &mut wakes);
        }
        wakes
    }
}
