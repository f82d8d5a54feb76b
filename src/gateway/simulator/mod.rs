//! A faithful gateway for the demo and the tests.
