#!/bin/sh
# Notes each start in the file named first, then executes the rest of its words.
echo "$$" >>"$1"
shift
exec "$@"
