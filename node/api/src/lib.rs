//! The REST routes, JSON shapes, problem reports, event streams.
