//! How many versions per second are compared with constraints, on one core and on all.

use std::hint::black_box;
use std::io::{Write, stdout};
use std::thread;
use std::time::{Duration, Instant};

use kapelle_composer::{Constraint, Version};

/// How requirements are written.
const CONSTRAINTS: [&str; 16] = [
    "*",
    "^1.2",
    "^2.0 || ^3.0",
    "~1.4.2",
    ">=8.1",
    "^5.4 || ^6.4 || ^7.0",
    "1.2.*",
    ">=1.0 <2.0 !=1.5.3",
    "dev-main",
    "^1.0@dev",
    "1.2.3",
    "^0.3",
    "1.0 - 2.0",
    "^4.4.30 || ^5.3 || ^6.0 || ^7.0",
    "<3.0",
    "~2.5 || dev-main || 3.x-dev",
];
const LONG: Duration = Duration::from_secs(2);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let constraints: Vec<Constraint> = CONSTRAINTS
        .iter()
        .map(|text| Constraint::parse(text))
        .collect::<Result<_, _>>()?;
    let versions = versions()?;
    let one = rate(&constraints, &versions, 1);
    let cores = thread::available_parallelism()?.get();
    let all = rate(&constraints, &versions, cores);
    let text = format!(
        "{:.1} million matches per second on one core, {:.1} million on {cores}\n",
        one / 1e6,
        all / 1e6
    );
    Ok(stdout().write_all(text.as_bytes())?)
}

/// Releases of some major versions, with what comes before a release, and branches.
fn versions() -> Result<Vec<Version>, Box<dyn std::error::Error>> {
    let mut texts = vec!["dev-main".to_owned(), "3.x-dev".to_owned()];
    for number in 0..200 {
        let (major, minor, patch) = (number / 25, number / 5 % 5, number % 5);
        let suffix = ["", "", "", "-beta1", "-RC2"][patch];
        texts.push(format!("{major}.{minor}.{patch}{suffix}"));
    }
    let parsed = texts.iter().map(|text| Version::parse(text));
    Ok(parsed.collect::<Result<_, _>>()?)
}

/// Matches per second of so many threads, each of which does the same.
fn rate(constraints: &[Constraint], versions: &[Version], threads: usize) -> f64 {
    let begun = Instant::now();
    let count = thread::scope(|scope| {
        let work = || matches(constraints, versions);
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        running
            .into_iter()
            .map(|thread| thread.join().unwrap_or(0.0))
            .sum::<f64>()
    });
    count / begun.elapsed().as_secs_f64()
}

fn matches(constraints: &[Constraint], versions: &[Version]) -> f64 {
    let (begun, mut rounds) = (Instant::now(), 0_u32);
    while begun.elapsed() < LONG {
        for constraint in constraints {
            for version in versions {
                black_box(black_box(constraint).matches(black_box(version)));
            }
        }
        rounds += 1;
    }
    let each = u32::try_from(constraints.len() * versions.len()).unwrap_or(u32::MAX);
    f64::from(rounds) * f64::from(each)
}
