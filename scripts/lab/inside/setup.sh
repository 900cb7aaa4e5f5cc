#!/bin/bash
# setup.sh: what needs running services: tables for the load. Called once after the first boot of a server.
for _ in $(seq 60); do mariadb -e 'select 1' >/dev/null 2>&1 && break; sleep 1; done
mariadb -e "create database if not exists lab; create table if not exists lab.t(a int auto_increment primary key, b varchar(64), c int, key(c)); create user if not exists lab@'%' identified by 'lab'; grant all on lab.* to lab@'%';"
for _ in $(seq 60); do psql -U postgres -c 'select 1' >/dev/null 2>&1 && break; sleep 1; done
"$(ls -d /usr/lib/postgresql/*/bin | tail -1)/pgbench" -q -i -s 1 -U postgres postgres
