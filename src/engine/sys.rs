//! What differs between systems: poll, the waker, non-blocking connects, linger, backlog, standard handles.
