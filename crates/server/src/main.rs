//! The program.

/// Answers are many small pieces of text made on one thread and freed on another, which the system's allocator is slow at
/// and keeps memory after.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    pegcount::cli::main()
}
