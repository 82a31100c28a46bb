//! The domain against real git repositories, on both databases.

mod sync;
mod world;
