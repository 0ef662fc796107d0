//! The program.

fn main() -> std::process::ExitCode {
    pegcount::cli::main()
}
