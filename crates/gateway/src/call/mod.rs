//! One call: its state machine, and the task that carries out what that orders.

mod finish;
mod hunt;
mod machine;
mod session;
mod talk;
mod words;

#[cfg(test)]
mod tests;
