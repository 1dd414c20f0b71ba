//! The messages of raft and raftstore.
//!
//! Each module is compiled from the `.proto` file of the same name. Payload fields are [`bytes::Bytes`],
//! so cloning a message copies no payload. The format on the wire and on disk is what prost makes of
//! these.

#![allow(missing_docs, reason = "the .proto files carry the comments; prost copies them where there are any")]

macro_rules! proto {
    ($($name:ident),*) => {$(
        pub mod $name {
            #![allow(clippy::all, reason = "generated")]
            include!(concat!(env!("OUT_DIR"), "/", stringify!($name), ".rs"));
        }
    )*};
}

proto!(eraftpb, errorpb, kvrpcpb, metapb, raft_cmdpb, raft_serverpb, schedulerpb);
