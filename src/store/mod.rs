//! Floor 3: OCI image layouts on a disk.
