//! The client library and the command carat.
