//! Both ends together, over a network that loses, doubles, reorders and damages, to a receiver that crashes.

use proptest::collection::btree_map;
use proptest::prelude::*;
use raft_proto::raft_serverpb::{
    SnapshotKey, SnapshotVerdict::Accepted, StoreMessage, store_message::Payload,
};

use super::test_support::{TO, config, data_of, put, region, snapshot_of, stored};
use super::*;
use crate::config::Config;
use crate::keys::Cf;
use crate::testing::MapEngine;

/// How bad it is. In percent of messages, but for crashes: in permille of steps.
#[derive(Clone, Copy, Debug, Default)]
struct Faults {
    loss: u64,
    /// Never are two messages in a row lost in one direction.
    spared: bool,
    doubled: u64,
    damaged: u64,
    crashes: u64,
}

/// What came of a transfer.
#[derive(Debug, PartialEq)]
enum End {
    /// Both ends say that it arrived.
    Whole,
    /// The sender heard of no success; the receiver may have it.
    Failed { accepted: bool },
}

struct Pipe {
    random: u64,
    faults: Faults,
    config: Config,
    body: Body,
    tick: u64,
    outgoing: Outgoing,
    incoming: Incoming,
    sender: MapEngine,
    receiver: MapEngine,
    flying: Vec<StoreMessage>,
    /// Whether the last message to the receiver, and to the sender, was lost.
    lost: [bool; 2],
    accepted: Vec<SnapshotKey>,
    ends: Vec<Sent>,
}

impl Pipe {
    fn new(seed: u64, faults: Faults, config: Config, body: Body) -> Pipe {
        let (mut sender, mut receiver) = (MapEngine::default(), MapEngine::default());
        let mut outgoing = Outgoing::new(&config);
        let message = snapshot_of(region().id, TO, 3, 9, &body);
        outgoing.start(&mut sender, 0, message, body.clone()).unwrap();
        let incoming = Incoming::open(&mut receiver, &config, &[]).unwrap();
        Pipe {
            random: seed,
            faults,
            config,
            body,
            tick: 0,
            outgoing,
            incoming,
            sender,
            receiver,
            flying: Vec::new(),
            lost: [false; 2],
            accepted: Vec::new(),
            ends: Vec::new(),
        }
    }

    /// SplitMix64.
    fn below(&mut self, bound: u64) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }

    fn run(mut self) -> End {
        // So many steps have more ticks than any transfer may take.
        for _ in 0..200_000 {
            self.step();
            if let Some(end) = self.ends.first().copied() {
                self.check_nothing_stays();
                assert_eq!(self.ends.len(), 1, "one end, told once");
                assert_eq!((end.region, end.to_peer), (region().id, TO.id));
                assert!(!end.ok || !self.accepted.is_empty(), "the sender believes what did not happen");
                return if end.ok { End::Whole } else { End::Failed { accepted: !self.accepted.is_empty() } };
            }
        }
        panic!("the transfer does not end: {:?} {:?}", self.outgoing, self.incoming);
    }

    fn step(&mut self) {
        if self.below(1000) < self.faults.crashes {
            self.incoming = Incoming::open(&mut self.receiver, &self.config, &self.accepted).unwrap();
        }
        match self.below(10) {
            0..7 if !self.flying.is_empty() => self.deliver(),
            0..9 => self.sync(),
            _ => self.pass_time(),
        }
        let new = self.sender.sent.drain(..).chain(self.receiver.sent.drain(..));
        let new: Vec<StoreMessage> = new.map(|(_, message)| message).collect();
        for message in new {
            let direction = usize::from(matches!(message.payload, Some(Payload::Ack(_))));
            let spared = self.faults.spared && self.lost[direction];
            self.lost[direction] = self.below(100) < self.faults.loss && !spared;
            if !self.lost[direction] {
                self.flying.push(message);
            }
        }
    }

    fn deliver(&mut self) {
        let at = self.below(self.flying.len() as u64) as usize;
        let message = if self.below(100) < self.faults.doubled {
            self.flying[at].clone()
        } else {
            self.flying.swap_remove(at)
        };
        match message.payload {
            Some(Payload::Chunk(mut chunk)) => {
                if !chunk.data.is_empty() && self.below(100) < self.faults.damaged {
                    let mut data = chunk.data.to_vec();
                    data[0] ^= 1;
                    chunk.data = data.into();
                }
                self.incoming.on_chunk(&mut self.receiver, self.tick, chunk).unwrap();
            }
            Some(Payload::Ack(ack)) => {
                self.ends.extend(self.outgoing.on_ack(&mut self.sender, self.tick, ack))
            }
            other => panic!("neither chunk nor acknowledgement: {other:?}"),
        }
    }

    fn sync(&mut self) {
        for received in self.incoming.on_synced(self.receiver.writes) {
            assert_eq!(load(&self.receiver, &received.key, &data_of(&self.body)), Ok(self.body.clone()));
            self.accepted.push(received.key);
            self.incoming.finish(&mut self.receiver, self.tick, received.key, Accepted).unwrap();
        }
    }

    fn pass_time(&mut self) {
        self.tick += 1;
        if self.outgoing.next_due() <= self.tick {
            self.ends.extend(self.outgoing.on_tick(&mut self.sender, self.tick));
        }
        if self.incoming.next_due() <= self.tick {
            self.incoming.on_tick(&mut self.receiver, self.tick).unwrap();
        }
    }

    /// What is still flying arrives and changes nothing at the sender; then the receiver is left alone.
    fn check_nothing_stays(&mut self) {
        self.faults = Faults::default();
        while !self.flying.is_empty() {
            self.deliver();
        }
        self.sync();
        self.tick += self.config.snapshot_timeout_ticks;
        self.incoming.on_tick(&mut self.receiver, self.tick).unwrap();
        assert_eq!((self.incoming.len(), self.outgoing.len()), (0, 0));
        for key in &self.accepted {
            self.incoming.remove(&mut self.receiver, *key).unwrap();
        }
        assert!(stored(&self.receiver).is_empty(), "chunks that nobody knows");
    }
}

fn any_body() -> impl Strategy<Value = Body> {
    btree_map("[b-w]{1,3}", "[a-z]{0,30}", 0..25).prop_map(|pairs| {
        let mut engine = MapEngine::default();
        for ((key, value), cf) in pairs.into_iter().zip(Cf::ALL.into_iter().cycle()) {
            put(&mut engine, cf, key.as_bytes(), value.as_bytes());
        }
        Body::read(&engine, &region()).unwrap()
    })
}

fn any_config() -> impl Strategy<Value = Config> {
    (1u64..200, 1u32..6).prop_map(|(snapshot_chunk_size, snapshot_window)| Config {
        snapshot_chunk_size,
        snapshot_window,
        snapshot_timeout_ticks: 100,
        ..config(1)
    })
}

proptest! {
    #[test]
    fn a_transfer_ends_whatever_happens(
        seed: u64, body in any_body(), config in any_config(),
        (loss, doubled, damaged, crashes) in (0u64..60, 0u64..60, 0u64..30, 0u64..30),
    ) {
        Pipe::new(seed, Faults { loss, spared: false, doubled, damaged, crashes }, config, body).run();
    }

    #[test]
    fn disorder_alone_stops_no_transfer(
        seed: u64, body in any_body(), config in any_config(), doubled in 0u64..60,
    ) {
        let faults = Faults { doubled, ..Faults::default() };
        prop_assert_eq!(Pipe::new(seed, faults, config, body).run(), End::Whole);
    }

    #[test]
    fn loss_that_lets_something_through_stops_no_transfer(
        seed: u64, body in any_body(), config in any_config(), loss in 0u64..100,
    ) {
        let faults = Faults { loss, spared: true, doubled: 10, ..Faults::default() };
        prop_assert_eq!(Pipe::new(seed, faults, config, body).run(), End::Whole);
    }
}

#[test]
fn chunk_keys_sort_by_transfer_and_number() {
    let key = SnapshotKey { region_id: 7, term: 2, index: 9, from_peer: 11, to_peer: 12, attempt: 1 };
    let bytes = chunk_key(key, 0x0102);
    assert_eq!(bytes[..8], 7u64.to_be_bytes());
    assert_eq!(bytes[40..], [0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 1, 2]);
    assert!(chunk_key(key, 255) < chunk_key(key, 256));
    assert!(chunk_key(key, u32::MAX).as_slice() < chunks_end(key).as_slice());
    let next = SnapshotKey { attempt: 2, ..key };
    assert!(chunks_end(key).as_slice() < chunk_key(next, 0).as_slice());
    assert_eq!(decode_chunk_key(&bytes), Some((key, 0x0102)));
    for other in [&b""[..], &bytes[..51], &[0; 53]] {
        assert_eq!(decode_chunk_key(other), None);
    }
}
