//! One door: so many may be inside, so many may wait before it, and those of the highest rank go first.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::Size;
use super::gates::Census;
use super::pace::Pace;
use crate::contract::services::Clock;

/// A door with its queue.
pub(super) struct Gate {
    size: Size,
    clock: Arc<dyn Clock>,
    inside: Mutex<Inside>,
}

struct Inside {
    count: usize,
    limit: usize,
    pace: Pace,
    /// By rank; in each the one that came first is in front.
    waiting: Vec<VecDeque<oneshot::Sender<Permit>>>,
}

/// A place inside; dropping it makes room for the next.
pub struct Permit {
    gate: Option<Arc<Gate>>,
    entered: u64,
}

/// What comes of knocking.
pub(super) enum Turn {
    /// Inside.
    Now(Permit),
    /// Not yet: the permit comes, or an error when somebody of a higher rank took the place in the queue.
    Later(oneshot::Receiver<Permit>),
    /// There is no room in the queue either.
    Never,
}

impl Gate {
    pub(super) fn new(size: Size, clock: Arc<dyn Clock>) -> Self {
        Self {
            size,
            clock,
            inside: Mutex::new(Inside {
                count: 0,
                limit: Pace::first_limit(size.max, size.adaptive),
                pace: Pace::default(),
                waiting: (0..size.ranks).map(|_| VecDeque::new()).collect(),
            }),
        }
    }

    /// Knocks.
    pub(super) fn enter(self: &Arc<Self>, rank: usize) -> Turn {
        let mut inside = self.inside.lock();
        if inside.count < inside.limit {
            inside.count += 1;
            drop(inside);
            return Turn::Now(self.permit());
        }
        inside.forget_the_gone();
        if inside.queued() >= self.size.queue && !inside.send_away_below(rank) {
            return Turn::Never;
        }
        let (sender, receiver) = oneshot::channel();
        match inside.waiting.get_mut(rank) {
            Some(queue) => queue.push_back(sender),
            None => return Turn::Never,
        }
        Turn::Later(receiver)
    }

    /// Goes in without waiting, also where others would have to: what a queue holds is inside, too.
    pub(super) fn look_on(self: &Arc<Self>) -> Turn {
        let mut inside = self.inside.lock();
        if inside.count >= inside.limit + self.size.queue {
            return Turn::Never;
        }
        inside.count += 1;
        drop(inside);
        Turn::Now(self.permit())
    }

    /// Whether nobody is inside or waits.
    pub(super) fn is_idle(&self) -> bool {
        let inside = self.inside.lock();
        inside.count == 0 && inside.queued() == 0
    }

    /// Who is there.
    pub(super) fn census(&self) -> Census {
        let inside = self.inside.lock();
        Census {
            inside: inside.count,
            limit: inside.limit,
            waiting: inside.queued(),
        }
    }

    fn permit(self: &Arc<Self>) -> Permit {
        Permit {
            gate: Some(self.clone()),
            entered: self.now(),
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.clock.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// Somebody leaves; the places go to those who wait.
    fn leave(self: &Arc<Self>, entered: u64) {
        let now = self.now();
        let mut inside = self.inside.lock();
        inside.count = inside.count.saturating_sub(1);
        if self.size.adaptive {
            let busy = inside.count + 1 >= inside.limit;
            let limit = inside.limit;
            let taken = now.saturating_sub(entered);
            inside.limit = inside.pace.learn(limit, self.size.max, taken, busy);
        }
        while inside.count < inside.limit
            && let Some(sender) = inside.next()
        {
            inside.count += 1;
            let permit = Permit {
                gate: Some(self.clone()),
                entered: now,
            };
            if let Err(permit) = sender.send(permit) {
                // Whoever waited is gone. Its permit is not dropped here: that would ask for the lock we hold.
                permit.defuse();
                inside.count -= 1;
            }
        }
    }
}

impl Inside {
    fn queued(&self) -> usize {
        self.waiting.iter().map(VecDeque::len).sum()
    }

    /// Those whose time was over are still in the queue.
    fn forget_the_gone(&mut self) {
        for queue in &mut self.waiting {
            queue.retain(|sender| !sender.is_closed());
        }
    }

    /// Makes room in the queue for somebody of this rank: the last to come of the lowest rank goes.
    fn send_away_below(&mut self, rank: usize) -> bool {
        let lower = self.waiting.iter_mut().take(rank);
        lower.into_iter().any(|queue| queue.pop_back().is_some())
    }

    /// Who is next: the highest rank, and in it whoever came first.
    fn next(&mut self) -> Option<oneshot::Sender<Permit>> {
        self.waiting.iter_mut().rev().find_map(VecDeque::pop_front)
    }
}

impl Permit {
    /// Makes it worthless.
    fn defuse(mut self) {
        self.gate = None;
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(gate) = self.gate.take() {
            gate.leave(self.entered);
        }
    }
}
