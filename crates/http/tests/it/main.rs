//! The HTTP surfaces against a whole registry, on both databases.

mod access;
mod app;
mod bad_input;
mod composer;
mod health;
mod hooks;
mod keeping;
