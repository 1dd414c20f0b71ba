//! Compiles `proto/*.proto` to Rust. protox is a compiler written in Rust, so no protoc is needed.

use std::error::Error;

const FILES: [&str; 7] = [
    "eraftpb.proto",
    "errorpb.proto",
    "kvrpcpb.proto",
    "metapb.proto",
    "raft_cmdpb.proto",
    "raft_serverpb.proto",
    "schedulerpb.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let descriptors = protox::compile(FILES, ["proto"])?;
    prost_build::Config::new()
        // Payloads are shared, never copied: an entry's data stands in logs, messages and disks at once.
        .bytes(["."])
        // A snapshot is rare and large; inline it would make every message three times its size.
        .boxed(".eraftpb.Message.snapshot")
        // Field comments become field docs; what has none is a wire type that speaks for itself.
        .type_attribute(".", "#[allow(missing_docs)]")
        .compile_fds(descriptors)?;
    Ok(())
}
