//! The real program on port 0, over real sockets: one module a concern.

mod server;

mod smoke;
