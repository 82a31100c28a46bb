//! The program as operators and scripts use it.

mod commands;
mod demo;
mod processes;
mod settings;
mod world;
