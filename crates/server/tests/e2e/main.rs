//! The real program on port 0, over real sockets: one module a concern.

mod forms;
mod server;

mod isolation;
mod reference;
mod smoke;
