//! Executed blocks turned into what people ask for, by account and cursor.
