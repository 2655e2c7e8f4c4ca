"""The genuine server that the programs of these tests ask."""

from real.conftest import real as real
