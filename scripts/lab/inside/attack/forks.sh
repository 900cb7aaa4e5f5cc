#!/bin/bash
# forks.sh SECONDS: a fork bomb with a bound: never more than 60 children, each gone within a second
end=$((SECONDS + $1))
while [ $SECONDS -lt "$end" ]; do for _ in $(seq 60); do (read -rt 0.$((RANDOM % 9)) _ < <(:) ; :) & done; wait; done
