//! Keys, certificates, genesis file and node homes.
