//! The command line against what the real ipvsadm printed.

mod anything;
mod client_addresses;
mod connections;
mod counters;
mod program;
mod saving;
mod segments;
mod support;
mod transcripts;
