//! Whole runs of small clusters, a module for each thing that is looked at. One binary, because each links everything.

mod endings;
mod faults;
mod placement;
mod regions;
mod run;
mod seam;
mod systems;
