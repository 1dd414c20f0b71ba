//! What a store can have differently from the others: the knobs that a rolling change gives to one store after the
//! other.
//!
//! Left out is what the safety or the time-outs of the whole group rest on, so that it must be alike on all: ticks,
//! election time-outs, the check of the quorum. A lease that a leader counts by a longer time-out than its voters keep
//! to their promise would serve stale reads.

use super::fields::{Section, Value};
use super::{RaftConfig, RaftstoreConfig};
use crate::scenario::ast::{Bytes, ReadIndexMode, ReadPath, System};
use crate::scenario::grammar::Field;
use crate::scenario::reader::{Place, Read, Reader};
use raftsim_kernel::Duration;

/// The knobs that one store has differently.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// Those of consensus.
    pub raft: RaftOverrides,
    /// Those of the store; raftstore only.
    pub raftstore: RaftstoreOverrides,
}

impl Overrides {
    /// Whether everything is as the file says.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Overrides::default()
    }

    /// Changes what differs.
    pub fn apply(&self, raft: &mut RaftConfig, raftstore: &mut RaftstoreConfig) {
        self.raft.apply(raft);
        self.raftstore.apply(raftstore);
    }

    /// Takes over what `newer` says on top of what there is.
    pub fn merge(&mut self, newer: &Overrides) {
        self.raft.merge(&newer.raft);
        self.raftstore.merge(&newer.raftstore);
    }
}

/// The field of this key.
const fn field(fields: &'static [Field], key: &str) -> Field {
    let mut at = 0;
    while at < fields.len() {
        if is(fields[at].key.as_bytes(), key.as_bytes()) {
            return fields[at];
        }
        at += 1;
    }
    panic!("no such field")
}

const fn is(one: &[u8], other: &[u8]) -> bool {
    let mut at = 0;
    while at < one.len() && at < other.len() && one[at] == other[at] {
        at += 1;
    }
    at == one.len() && at == other.len()
}

macro_rules! overrides {
    ($(
        $(#[doc = $doc:literal])+
        struct $name:ident of $base:ident { $( $field:ident $key:literal: $type:ty, )+ }
    )+) => { $(
        $(#[doc = $doc])+
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct $name {
            $( #[doc = concat!("`", $key, "`, where it differs.")] pub $field: Option<$type>, )+
        }

        impl $name {
            /// Changes what differs.
            pub fn apply(&self, config: &mut $base) {
                $( config.$field = self.$field.unwrap_or(config.$field); )+
            }

            /// Takes over what `newer` says on top of what there is.
            pub fn merge(&mut self, newer: &$name) {
                $( self.$field = newer.$field.or(self.$field); )+
            }
        }

        impl Section for $name {
            const KEY: &'static str = $base::KEY;
            const DOC: &'static str = $base::DOC;
            const SYSTEM: Option<System> = $base::SYSTEM;
            const FIELDS: &'static [Field] = &[$( field($base::FIELDS, $key) ),+];

            fn set(&mut self, reader: &mut Reader, place: Place<'_, '_>) -> Read<()> {
                match place.key {
                    $($key => self.$field = Value::read(reader, place)?,)+
                    _ => unreachable!("a field of the table"),
                }
                Ok(())
            }

            fn written(&self) -> Vec<(&'static str, String)> {
                let fields = [$(($key, self.$field.write())),+];
                fields.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
            }
        }
    )+ };
}

overrides! {
    /// Knobs of consensus that one store can have differently.
    struct RaftOverrides of RaftConfig {
        heartbeat_ticks "heartbeat-ticks": u32,
        max_inflight "max-inflight": u32,
        max_message_size "max-message-size": Bytes,
        max_inflight_size "max-inflight-size": Bytes,
        max_committed_size "max-committed-size": Bytes,
        max_uncommitted_size "max-uncommitted-size": Bytes,
        pre_vote "pre-vote": bool,
        step_down_on_removal "step-down-on-removal": bool,
        read_index "read-index": ReadIndexMode,
        lease_margin "lease-margin": u32,
        apply_unpersisted "apply-unpersisted": bool,
        validate_conf_changes "validate-conf-changes": bool,
    }
    /// Knobs of the store that one store can have differently: all.
    struct RaftstoreOverrides of RaftstoreConfig {
        kv_sync_interval "kv-sync-interval": Duration,
        reads "reads": ReadPath,
        log_gc_interval "log-gc-interval": Duration,
        log_gc_threshold "log-gc-threshold": u64,
        log_gc_count_limit "log-gc-count-limit": u64,
        log_gc_size_limit "log-gc-size-limit": Bytes,
        split_check_interval "split-check-interval": Duration,
        region_max_size "region-max-size": Bytes,
        region_split_size "region-split-size": Bytes,
        snapshot_chunk_size "snapshot-chunk-size": Bytes,
        snapshot_window "snapshot-window": u32,
        max_snapshots_sent "max-snapshots-sent": u32,
        max_snapshots_received "max-snapshots-received": u32,
        snapshot_timeout "snapshot-timeout": Duration,
        snapshot_batch_size "snapshot-batch-size": Bytes,
        leader_missing "leader-missing": Duration,
    }
}
