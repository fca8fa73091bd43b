//! The tasks of this repository: `cargo xtask --help` lists them.
//!
//! Owns the command line; each task has a file of its own.
//! Never depends on the host or its engine, so that it starts at once; what a
//! task needs of the host it has cargo build and run.

mod bench;
mod build;
mod crash;
mod demo;
mod dist;
mod fuzz;
mod repo;
mod setup;
mod soak;
mod steps;
mod test;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The tasks of the Sublane repository.
///
/// Nothing has to be set up before: each task gets what it needs and says so.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    Demo(demo::Demo),
    Test(test::Test),
    Build(build::Build),
    Bench(bench::Bench),
    Crash(crash::Crash),
    Dist(dist::Dist),
    Fuzz(fuzz::Fuzz),
    Setup(setup::Setup),
    Soak(soak::Soak),
}

fn main() -> ExitCode {
    let result = match Cli::parse().task {
        Task::Demo(task) => task.run(),
        Task::Test(task) => task.run(),
        Task::Build(task) => task.run(),
        Task::Bench(task) => task.run(),
        Task::Crash(task) => task.run(),
        Task::Dist(task) => task.run(),
        Task::Fuzz(task) => task.run(),
        Task::Setup(task) => task.run(),
        Task::Soak(task) => task.run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
