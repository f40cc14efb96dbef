//! The binary: what is typed goes in, an exit code comes out.

use std::process::ExitCode;

fn main() -> ExitCode {
    tunecheck::cli::run(std::env::args_os()).leave()
}
