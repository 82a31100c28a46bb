//! The program: a private Composer registry in one binary.

mod app;
mod cli;
mod exit;
mod logging;
mod output;
mod owner;
mod parts;
mod progress;
mod serve;
mod settings;
mod signal;
mod workspace;

use std::process::ExitCode;

use clap::Parser;
use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    // Huge pages would double what an import takes in memory, and make no request faster. A kernel without them is fine.
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::disable_transparent_huge_pages(true);
    kapelle_outbound::install_crypto_provider();
    let command_line = cli::CommandLine::parse();
    let outcome = run(command_line);
    logging::flush();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if let Some(sentence) = exit::sentence(&error) {
                output::note(&sentence);
            }
            ExitCode::from(exit::code(&error))
        }
    }
}

fn run(command_line: cli::CommandLine) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let outcome = runtime.block_on(command_line.run());
    // A blocking read that nobody waits for any more shall not keep the process.
    runtime.shutdown_background();
    outcome
}
