# Certificates for the peers that speak TLS, from an authority made anew at each start. Sourced by scripts/peers.

tls=$peers/tls

# In $tls: the authority `ca.pem`, and with their keys `server` for localhost and 127.0.0.1, and `guest` by its name.
tls_make() {
    have openssl || install_packages openssl || { echo "no openssl to make certificates with"; return 1; }
    rm -rf "$tls" && mkdir -p "$tls"
    tls_key ca
    openssl req -x509 -new -key "$tls/ca.key" -subj "/CN=amqp1 peers" -days 30 -out "$tls/ca.pem"
    tls_certify server localhost "subjectAltName=DNS:localhost,IP:127.0.0.1"
    tls_certify guest guest "extendedKeyUsage=clientAuth"
}

tls_key() {
    openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$tls/$1.key"
}

# Certifies $1, whose common name is $2, with the extension $3.
tls_certify() {
    tls_key "$1"
    openssl req -new -key "$tls/$1.key" -subj "/CN=$2" |
        openssl x509 -req -CA "$tls/ca.pem" -CAkey "$tls/ca.key" -CAcreateserial -days 30 \
            -extfile <(echo "$3") -out "$tls/$1.pem"
}
