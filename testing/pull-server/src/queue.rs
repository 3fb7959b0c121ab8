//! The events of one subscription: which wait, and who has leased which.

use crate::proto::{PubsubMessage, ReceivedMessage, StreamingPullResponse};
use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant},
};
use tokio::sync::mpsc::UnboundedSender;

/// A stream that a subscriber holds open.
#[derive(Debug)]
pub(crate) struct Stream {
    /// How many events it may hold; any number where that is not positive.
    pub(crate) places: i64,
    /// How long an event is leased to it.
    pub(crate) lease: Duration,
    pub(crate) sender: UnboundedSender<StreamingPullResponse>,
}

#[derive(Debug)]
struct Leased {
    message: PubsubMessage,
    stream: u64,
    until: Instant,
}

#[derive(Debug, Default)]
pub(crate) struct Queue {
    waiting: VecDeque<PubsubMessage>,
    /// By the id that they are acknowledged by.
    leased: BTreeMap<String, Leased>,
    streams: BTreeMap<u64, Stream>,
    numbers: u64,
    /// Nothing is sent before this many streams are open.
    pub(crate) least_streams: usize,
    pub(crate) handed_back: usize,
}

impl Queue {
    fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    pub(crate) fn add(&mut self, mut message: PubsubMessage) {
        message.message_id = self.number().to_string();
        self.waiting.push_back(message);
        self.share_out();
    }

    pub(crate) fn open(&mut self, stream: Stream) {
        let number = self.number();
        self.streams.insert(number, stream);
        self.share_out();
    }

    /// Events that nobody has leased, and those that somebody has.
    pub(crate) fn counts(&self) -> (usize, usize) {
        (self.waiting.len(), self.leased.len())
    }

    pub(crate) fn acknowledge(&mut self, ack_ids: &[String]) {
        for id in ack_ids {
            self.leased.remove(id);
        }
        self.share_out();
    }

    /// Leases from now on; 0 seconds releases the event.
    pub(crate) fn lease(&mut self, ack_ids: &[String], seconds: u64) {
        for id in ack_ids {
            if seconds > 0 {
                if let Some(leased) = self.leased.get_mut(id) {
                    leased.until = Instant::now() + Duration::from_secs(seconds);
                }
            } else if let Some(leased) = self.leased.remove(id) {
                self.handed_back += 1;
                self.waiting.push_back(leased.message);
            }
        }
        self.share_out();
    }

    /// Leases that have ended are over.
    pub(crate) fn expire(&mut self) {
        let now = Instant::now();
        let over: Vec<_> =
            self.leased.iter().filter(|(_, leased)| leased.until <= now).map(|(id, _)| id.clone()).collect();
        for id in over {
            if let Some(leased) = self.leased.remove(&id) {
                self.waiting.push_back(leased.message);
            }
        }
        self.share_out();
    }

    /// Gives what waits to the first stream that has a place. A stream that asks for more than it can work on gets it, and others do not.
    fn share_out(&mut self) {
        // Events leased by a closed stream stay leased until they are acknowledged or returned, or the lease ends.
        self.streams.retain(|_, stream| !stream.sender.is_closed());
        while !self.waiting.is_empty() && self.streams.len() >= self.least_streams {
            let held = |number: u64| self.leased.values().filter(|leased| leased.stream == number).count() as i64;
            let mut streams = self.streams.iter();
            let Some((&number, stream)) =
                streams.find(|&(&number, stream)| stream.places <= 0 || held(number) < stream.places)
            else {
                return;
            };
            let (lease, sender) = (stream.lease, stream.sender.clone());
            let Some(message) = self.waiting.pop_front() else { return };
            let ack_id = format!("lease-{}", self.number());
            let received = ReceivedMessage { ack_id: ack_id.clone(), message: Some(message.clone()) };
            if sender.send(StreamingPullResponse { received_messages: vec![received] }).is_err() {
                self.waiting.push_front(message);
                self.streams.remove(&number);
                continue;
            }
            self.leased.insert(ack_id, Leased { message, stream: number, until: Instant::now() + lease });
        }
    }
}
