//! The program as operators and scripts use it.

mod commands;
mod demo;
mod e2e;
mod processes;
mod settings;
mod world;
