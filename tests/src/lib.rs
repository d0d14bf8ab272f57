//! Simulator, integration, tidy and client-suite tests.
