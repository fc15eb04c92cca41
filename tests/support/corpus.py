"""Configurations of other tools in the style in which people write them, each with what such a file usually has."""

from __future__ import annotations

SUPERVISOR = """\
[program:gunicorn]
command=/srv/shop/venv/bin/gunicorn shop.wsgi:application --bind 127.0.0.1:8000 --workers 3
directory=/srv/shop
user=www-data
autostart=true
autorestart=true
redirect_stderr=true
stdout_logfile=/var/log/shop/gunicorn.log
environment=DJANGO_SETTINGS_MODULE="shop.settings.production",PYTHONUNBUFFERED="1"
---
[program:celery]
command=/srv/shop/venv/bin/celery -A shop worker -l INFO --concurrency=4
directory=/srv/shop
user=www-data
numprocs=1
stdout_logfile=/var/log/celery/worker.log
stderr_logfile=/var/log/celery/worker.err
autostart=true
autorestart=true
startsecs=10
stopwaitsecs=600
killasgroup=true
priority=998
[program:beat]
command=/srv/shop/venv/bin/celery -A shop beat
directory=/srv/shop
priority=999
---
[program:laravel-worker]
process_name=%(program_name)s_%(process_num)02d
command=php /home/forge/app/artisan queue:work redis --sleep=3 --tries=3 --max-time=3600
autostart=true
autorestart=true
stopasgroup=true
killasgroup=true
user=forge
numprocs=8
redirect_stderr=true
stdout_logfile=/home/forge/app/worker.log
stopwaitsecs=3600
---
[supervisord]
nodaemon=true
user=root
logfile=/dev/null
logfile_maxbytes=0
pidfile=/run/supervisord.pid
[program:php-fpm]
command=php-fpm8.2 -F
stdout_logfile=/dev/stdout
stdout_logfile_maxbytes=0
stderr_logfile=/dev/stderr
stderr_logfile_maxbytes=0
autorestart=false
startretries=0
[program:nginx]
command=nginx -g 'daemon off;'
stdout_logfile=/dev/stdout
stdout_logfile_maxbytes=0
stderr_logfile=/dev/stderr
stderr_logfile_maxbytes=0
---
[unix_http_server]
file=/run/supervisor.sock
chmod=0700
[supervisord]
logfile=/var/log/supervisor/supervisord.log
childlogdir=/var/log/supervisor
pidfile=/run/supervisord.pid
minfds=65536
loglevel=warn
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
[supervisorctl]
serverurl=unix:///run/supervisor.sock
[program:redis]
command=redis-server /etc/redis/redis.conf --daemonize no
---
[inet_http_server]
port=*:9001
username=admin
password=secret
[program:kafka]
command=/opt/kafka/bin/kafka-server-start.sh /opt/kafka/config/server.properties
environment=KAFKA_HEAP_OPTS="-Xmx1G -Xms1G",JMX_PORT="9999"
stopsignal=TERM
stopwaitsecs=60
exitcodes=0,143
---
[program:node]
command=node server.js --port 30%(process_num)02d
process_name=%(program_name)s-%(process_num)d
numprocs=4
numprocs_start=1
directory=/srv/api
stdout_logfile=/var/log/api/%(program_name)s-%(process_num)d.log
stdout_logfile_maxbytes=10MB
stdout_logfile_backups=5
---
[group:site]
programs=web,sockets
priority=100
[program:web]
command=%(ENV_VIRTUAL_ENV)s/bin/uwsgi --ini uwsgi.ini
stopsignal=QUIT
[program:sockets]
command=%(ENV_VIRTUAL_ENV)s/bin/daphne site.asgi:application
---
[eventlistener:crashmail]
command=/usr/local/bin/crashmail -a -m ops@example.org
events=PROCESS_STATE_EXITED
[program:api]
command=/usr/local/bin/api
stdout_events_enabled=true
---
[fcgi-program:pages]
command=/usr/bin/spawn-php
socket=unix:///run/pages.sock
socket_owner=www-data
socket_mode=0770
numprocs=5
process_name=%(program_name)s_%(process_num)02d
---
[program:sshd]
command=/usr/sbin/sshd -D
autorestart=unexpected
[program:cron]
command=cron -f -L 15
umask=022
---
[program:tunnel]
command=/bin/bash -c "while true; do ssh -N -L 5432:db:5432 bastion; sleep 5; done"
user=deploy
environment=HOME="/home/deploy",USER="deploy"
stdout_logfile=NONE
stderr_logfile=NONE
---
[program:minio]
command=/usr/local/bin/minio server %(ENV_MINIO_VOLUMES)s --address :%(ENV_PORT)s ; the store
startsecs=5
startretries=10
stdout_logfile=syslog
---
[include]
files = none/*.conf
[supervisord]
nodaemon=false
environment=LANG="C.UTF-8",TZ="UTC"
directory=/srv
umask=002
strip_ansi=true
[program:worker]
command=python3 worker.py
stdout_capture_maxbytes=1MB
"""

SYSTEMD = """\
[Unit]
Description=The web server of the shop
After=network.target postgresql.service
[Service]
Type=notify
User=www-data
Group=www-data
WorkingDirectory=/srv/shop
ExecStart=/srv/shop/venv/bin/gunicorn shop.wsgi
ExecReload=/bin/kill -s HUP $MAINPID
KillMode=mixed
TimeoutStopSec=5
PrivateTmp=true
[Install]
WantedBy=multi-user.target
---
[Service]
ExecStart=/usr/bin/node /opt/app/index.js
Restart=always
RestartSec=10
StandardOutput=syslog
StandardError=syslog
Environment=NODE_ENV=production PORT=3000
User=nobody
[Install]
WantedBy=multi-user.target
---
[Unit]
Description=Prometheus
Wants=network-online.target
[Service]
Type=simple
User=prometheus
ExecStart=/usr/local/bin/prometheus \\
  --config.file /etc/prometheus/prometheus.yml \\
  --storage.tsdb.path /var/lib/prometheus/
LimitNOFILE=65535
ProtectSystem=full
NoNewPrivileges=yes
[Install]
WantedBy=multi-user.target
---
[Service]
Type=oneshot
ExecStart=/usr/local/bin/backup --all
Nice=19
IOSchedulingClass=idle
---
[Service]
ExecStartPre=/usr/bin/mkdir -p /run/cache
ExecStart=/usr/bin/memcached -m 64 -p 11211 -u memcache
ExecStop=/bin/kill -INT $MAINPID
MemoryMax=128M
CPUQuota=50%
[Install]
WantedBy=multi-user.target
---
[Service]
Type=simple
EnvironmentFile=-/etc/default/celery
ExecStart=/bin/sh -c 'exec ${CELERY_BIN} -A app worker'
Restart=on-failure
StartLimitBurst=5
SuccessExitStatus=143
[Install]
WantedBy=multi-user.target
---
[Unit]
Description=Tomcat
[Service]
Type=forking
PIDFile=/run/tomcat.pid
ExecStart=/opt/tomcat/bin/startup.sh
ExecStop=/opt/tomcat/bin/shutdown.sh
UMask=0007
[Install]
WantedBy=multi-user.target
---
[Service]
WorkingDirectory=/opt/game
User=root
ExecStart=/usr/bin/java -Xmx2G -jar server.jar nogui
KillSignal=SIGINT
SuccessExitStatus=0 130
Restart=on-abnormal
[Install]
WantedBy=multi-user.target
---
[Service]
ExecStart=/usr/bin/exporter --web.listen-address=":9100" --collector.filter='^(a|b)$$'
StandardOutput=append:/var/log/exporter.log
StandardError=inherit
OOMScoreAdjust=-100
DynamicUser=yes
CapabilityBoundingSet=CAP_NET_BIND_SERVICE
[Install]
WantedBy=multi-user.target
"""

PROCFILE = """\
web: bundle exec puma -C config/puma.rb
worker: bundle exec sidekiq -q default -q mailers
release: bin/rails db:migrate
---
web: gunicorn app:app --bind 0.0.0.0:$PORT --log-file -
worker: python worker.py
---
web: bin/rails server -p 3000
css: bin/rails tailwindcss:watch
js: yarn build --watch
---
web: java $JAVA_OPTS -jar target/app.jar --server.port=$PORT
---
api: node dist/main.js
jobs: node dist/jobs.js && echo done
redis: redis-server
"""

CIRCUS = """\
[circus]
check_delay = 5
endpoint = tcp://127.0.0.1:5555
statsd = true
[watcher:web]
cmd = /srv/bin/chaussette --fd $(circus.sockets.web) app.wsgi
use_sockets = True
numprocesses = 3
[socket:web]
host = 127.0.0.1
port = 8080
---
[watcher:worker]
cmd = python
args = -u worker.py $(circus.wid)
numprocesses = 2
warmup_delay = 1
copy_env = True
graceful_timeout = 10
stdout_stream.class = FileStream
stdout_stream.filename = /var/log/worker.log
stdout_stream.max_bytes = 1073741
[env:worker]
QUEUE = high
---
[watcher:dbworker]
cmd = /usr/bin/dbworker
uid = db
gid = db
working_dir = /var/lib/db
stop_signal = INT
max_retry = 3
hooks.before_start = my.hook
rlimit_nofile = 500
[plugin:flapping]
use = circus.plugins.flapping.Flapping
---
[circus]
httpd = True
[watcher:once]
cmd = /usr/bin/setup --all
respawn = False
singleton = True
priority = 5
send_hup = True
"""

PROCESS_COMPOSE = """\
version: "0.5"
processes:
  db:
    command: postgres -D data
    readiness_probe:
      exec: {command: pg_isready}
      initial_delay_seconds: 2
    shutdown: {signal: 2, timeout_seconds: 20}
  api:
    command: "./api --port ${PORT}"
    depends_on:
      db: {condition: process_healthy}
    availability: {restart: always, backoff_seconds: 2}
---
log_level: debug
environment:
  - MODE=dev
processes:
  build:
    command: npm run build
    availability: {restart: exit_on_failure}
  watch:
    command: npm run watch
    is_tty: true
    depends_on:
      build: {condition: process_completed_successfully}
    log_location: ./watch.log
---
processes:
  web:
    command: python3 -m http.server 8000
    working_dir: /srv
    liveness_probe:
      http_get: {host: 127.0.0.1, port: 8000, path: /}
      period_seconds: 5
    replicas: 2
    namespace: front
---
processes:
  worker:
    command: ./worker
    environment: ["A=1", "B=two words"]
    availability: {restart: on_failure, max_restarts: 3}
    disabled: true
    shutdown: {command: ./stop.sh}
"""

PM2 = """\
{"apps": [{"name": "api", "script": "server.js", "instances": 4, "exec_mode": "cluster", "env": {"NODE_ENV": "production"}, "max_memory_restart": "300M"}]}
---
{"apps": [{"name": "worker", "script": "./worker.py", "interpreter": "python3", "args": "--queue high", "autorestart": true, "max_restarts": 10, "restart_delay": 4000}]}
---
{"apps": [{"name": "cron", "script": "job.sh", "cron_restart": "0 3 * * *", "autorestart": false, "out_file": "/var/log/job.log", "merge_logs": true}]}
---
{"apps": [{"name": "web app", "script": "npm", "args": "start", "interpreter": "none", "cwd": "/srv/web", "watch": ["src"], "kill_timeout": 5000, "env_staging": {"A": "b"}}]}
---
{"apps": [{"name": "site", "script": "index.js", "node_args": "--max-old-space-size=512", "time": true, "error_file": "err.log", "wait_ready": true}], "deploy": {"production": {"user": "node"}}}
"""

KINDS = {
    "supervisord.conf": SUPERVISOR,
    "shop.service": SYSTEMD,
    "Procfile": PROCFILE,
    "circus.ini": CIRCUS,
    "process-compose.yaml": PROCESS_COMPOSE,
    "ecosystem.json": PM2,
}
"""The usual name of a file, and files of that kind."""
CORPUS = [(name, text) for name, texts in KINDS.items() for text in texts.split("---\n")]
