//! Beside the floors, for tests only: doubles and generators.
