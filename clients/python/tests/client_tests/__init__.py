"""Tests of the client against a gRPC peer in this process, which does as it is told."""
