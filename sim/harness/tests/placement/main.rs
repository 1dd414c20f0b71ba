//! The placement driver, through its trait alone: by itself, and in a small model of a cluster.

mod alone;
mod model;
mod together;
