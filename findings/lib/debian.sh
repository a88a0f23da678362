# Debian 12's servers, unpacked into the temporary folder and run from there: no root, no installation.
# The server that a finding is about has a fixed version; the libraries below it are those that Debian 12 has now.
# Source common.sh first.

# unpack PACKAGE[=VERSION]... downloads packages and unpacks them to $dir/root.
unpack() {
	command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || could_not_run "this takes a Debian 12"
	mkdir -p debs root
	(cd debs && apt-get -o APT::Sandbox::User="$(id -un)" download "$@") >apt.log 2>&1 ||
		could_not_run "Debian's packages: $(grep '^E:' apt.log | head -n 1) (new lists: apt-get update)"
	local deb
	for deb in debs/*.deb; do dpkg-deb -x "$deb" root; done
}

# unpacked LOG COMMAND... runs a program from there in the background, with its libraries.
unpacked() {
	local libraries
	libraries=$(echo "$dir"/root/usr/lib/*-linux-gnu):$(echo "$dir"/root/lib/*-linux-gnu)
	HOME=$dir LD_LIBRARY_PATH=$libraries start "$@"
}

# free_port prints a port of 127.0.0.1 at which nobody listens.
free_port() {
	local port
	for _ in $(seq 100); do
		port=$((20000 + RANDOM % 12000))
		(exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
	done
	could_not_run "no free port"
}

# listening PORT LOG waits up to a minute for a server.
listening() {
	for _ in $(seq 600); do
		if (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; then return; fi
		kill -0 "${started[-1]}" 2>/dev/null || break
		sleep 0.1
	done
	tail -n 20 "$2" >&2 || true
	could_not_run "the server does not answer"
}

# certificate writes cert.pem and key.pem for localhost.
certificate() {
	go run "$(go env GOROOT)/src/crypto/tls/generate_cert.go" -host localhost -ecdsa-curve P256 >tls.log 2>&1
}

# prosody LINE... starts Prosody for the domain localhost, where anybody may register, with these lines in its
# configuration, and sets $port.
prosody() {
	[ -d root/usr/lib/prosody ] || unpack prosody=0.12.3-1+deb12u1 lua5.4 lua-expat lua-filesystem lua-sec lua-socket \
		libexpat1 libicu72 libreadline8 libssl3
	port=$(free_port)
	mkdir -p data
	# The program names Debian's folders.
	sed "s|'/usr/lib/prosody|'$dir/root/usr/lib/prosody|; s|'/etc/prosody|'$dir|; s|'/var/lib/prosody|'$dir/data|" root/usr/bin/prosody >prosody
	cat >prosody.cfg.lua <<-CFG
		run_as_root = true
		daemonize = false
		pidfile = "$dir/prosody.pid"
		data_path = "$dir/data"
		log = { warn = "*console" }
		modules_disabled = { "s2s" }
		c2s_interfaces = { "127.0.0.1" }
		c2s_ports = { $port }
		c2s_direct_tls_ports = {}
		c2s_require_encryption = false
		allow_unencrypted_plain_auth = true
		allow_registration = true
		$(printf '%s\n' "$@")
		VirtualHost "localhost"
	CFG
	export LUA_PATH="$dir/root/usr/share/lua/5.4/?.lua;$dir/root/usr/share/lua/5.4/?/init.lua;;"
	export LUA_CPATH
	LUA_CPATH="$(echo "$dir"/root/usr/lib/*-linux-gnu)/lua/5.4/?.so;;"
	unpacked prosody.log root/usr/bin/lua5.4 prosody --config prosody.cfg.lua -F
	listening "$port" prosody.log
	echo "Prosody $(cat root/usr/lib/prosody/prosody.version)"
}

# ejabberd LINE... starts ejabberd for the domain localhost, where anybody may register, with these lines, which
# are below modules, in its configuration, and sets $port.
ejabberd() {
	[ -d root/usr/lib/erlang ] || unpack ejabberd=23.01-1 erlang-base erlang-asn1 erlang-crypto erlang-inets erlang-mnesia \
		erlang-os-mon erlang-public-key erlang-ssl erlang-syntax-tools erlang-xmerl erlang-snmp erlang-base64url erlang-goldrush \
		erlang-idna erlang-jiffy erlang-jose erlang-lager erlang-unicode-util-compat erlang-p1-acme erlang-p1-cache-tab \
		erlang-p1-eimp erlang-p1-mqtree erlang-p1-pkix erlang-p1-stringprep erlang-p1-stun erlang-p1-tls erlang-p1-utils \
		erlang-p1-xml erlang-p1-xmpp erlang-p1-yaml erlang-p1-yconf erlang-p1-zlib libexpat1 libssl3 libyaml-0-2
	port=$(free_port)
	mkdir -p data
	[ -f cert.pem ] || certificate
	cat >ejabberd.yml <<-CFG
		loglevel: warning
		hosts: [localhost]
		certfiles: ["$dir/cert.pem", "$dir/key.pem"]
		acme: { auto: false }
		listen:
		  - { port: $port, ip: 127.0.0.1, module: ejabberd_c2s, starttls: true }
		registration_timeout: infinity
		modules:
		  mod_register: { access: all, ip_access: all, welcome_message: {} }
		$(printf '  %s\n' "$@")
	CFG
	export ERL_ROOTDIR=$dir/root/usr/lib/erlang ERL_CRASH_DUMP_BYTES=0
	export EJABBERD_CONFIG_PATH=$dir/ejabberd.yml EJABBERD_LOG_PATH=$dir/ejabberd.log
	export ERL_LIBS
	ERL_LIBS=$(echo "$dir"/root/usr/lib/*-linux-gnu)
	# Without a node's name Erlang starts no epmd and listens to no other node.
	unpacked ejabberd.out root/usr/lib/erlang/bin/erl -noinput -mnesia dir "\"$dir/data\"" -s ejabberd
	listening "$port" ejabberd.log
	echo "ejabberd $(dpkg-deb -f debs/ejabberd_*.deb Version)"
}
