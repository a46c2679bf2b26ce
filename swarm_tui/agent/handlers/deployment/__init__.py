"""deployment.*: releases that are switched, proved and taken back."""
