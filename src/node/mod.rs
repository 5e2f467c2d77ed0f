//! Floor 3: the container runtime of the machine that this program runs on, asked through its own tool.
//!
//! Knows how containerd's `ctr` is called and what it prints: what images and content are there, how a tar is handed
//! to it, how an image is kept from being collected. It knows no bundle, no policy and no network. What it says is
//! read within limits; a program that does not end is ended.
//!
//! | file | what it knows |
//! |---|---|
//! | `ctr` | the calls of the program, and its lists |
//! | `run` | how a program is run: bounded in time and output, with its own words where it fails |

mod ctr;
mod run;

pub use ctr::{Ctr, check_namespace};
pub use run::{Fed, NodeError};
