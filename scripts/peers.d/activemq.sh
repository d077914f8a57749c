# ActiveMQ 5.17 of Debian's trixie with its AMQP module, which Debian leaves out: it is compiled here, from the source of the
# same package. All below $peers; of the system only a JDK is used. Sourced by scripts/peers.

activemq_is_installed() {
    [[ -e $peers/activemq/lib/activemq-amqp.jar ]]
}

# What the broker runs on, no more: of several that bind slf4j, one only.
activemq_jars=(
    activemq-{broker,client,console,jaas,kahadb-store,openwire-legacy,protobuf,spring} proton-j
    spring3-{aop,beans,context,core,expression} xbean-spring commons-{logging,pool2}
    geronimo-{j2ee-management-1.1-spec,jms_1.1_spec} hawtbuf slf4j-{api,simple}
)
activemq_packages=(
    libactivemq-java libactivemq-protobuf-java libapache-qpid-proton-j-java libspring-{aop,beans,context,core,expression}-java
    libxbean-java libcommons-logging-java libcommons-pool2-java libgeronimo-j2ee-management-1.1-spec-java
    libgeronimo-jms-1.1-spec-java libhawtbuf-java libslf4j-java
)

activemq_install() {
    have apt-get || { echo "needs Debian's apt-get"; return 1; }
    have javac && have jar || install_packages openjdk-17-jdk-headless || { echo "no JDK"; return 1; }
    local new=$peers/activemq.new jar sources
    rm -rf "$new" && mkdir -p "$new"/{apt/partial,deb,lib,classes}
    trixie_apt update
    (cd "$new/deb" && trixie_apt download "${activemq_packages[@]}")
    # The description of the source package is not kept by every mirror; of it, only the archive is needed.
    (cd "$new/deb" && trixie_apt source --download-only activemq) || true
    for jar in "$new"/deb/*.deb; do
        dpkg -x "$jar" "$new/deb"
    done
    for jar in "${activemq_jars[@]}"; do
        cp "$new/deb/usr/share/java/$jar.jar" "$new/lib/"
    done
    sources=("$new"/deb/activemq_*.orig.tar.*)
    [[ -e ${sources[0]} ]] || { echo "the source of the AMQP module cannot be had"; return 1; }
    tar -xf "${sources[0]}" -C "$new" --wildcards '*/activemq-amqp/src/main/*' --strip-components=1
    find "$new/activemq-amqp/src/main/java" -name '*.java' >"$new/sources"
    javac -nowarn -encoding UTF-8 -d "$new/classes" -cp "$new/lib/*" "@$new/sources"
    cp -r "$new/activemq-amqp/src/main/resources/." "$new/classes/"
    jar --create --file "$new/lib/activemq-amqp.jar" -C "$new/classes" .
    rm -r "$new"/{apt,apt.list,deb,classes,activemq-amqp,sources}
    rm -rf "$peers/activemq" && mv "$new" "$peers/activemq"
}

# apt-get with a list of packages of its own, which leaves the system's alone.
trixie_apt() {
    local keyring=/usr/share/keyrings/debian-archive-keyring.gpg mirror
    mirror=$(debian_mirror)
    printf '%s [signed-by=%s] %s trixie main\n' deb "$keyring" "$mirror" deb-src "$keyring" "$mirror" >"$new/apt.list"
    apt-get -q -o "Dir::Etc::sourcelist=$new/apt.list" -o Dir::Etc::sourceparts=/dev/null -o "Dir::State::lists=$new/apt" \
        -o "Dir::Cache=$new/apt" -o Acquire::Languages=none -o APT::Sandbox::User= "$@"
}

# A heap that does for tests, and compiled with one compiler only: it is to start fast and to leave the cores alone.
activemq_start() {
    local home=$peers/activemq port
    port=$(pick_port AMQP1_ACTIVEMQ_PORT 5773)
    rm -rf "$home/data" && mkdir -p "$home/conf"
    activemq_configure >"$home/conf/activemq.xml"
    spawn activemq java -Xms32M -Xmx256M -XX:+UseSerialGC -XX:TieredStopAtLevel=1 \
        --add-opens=java.base/java.{lang,net,util,util.concurrent}=ALL-UNNAMED \
        "-Dactivemq."{home,base}"=$home" "-Dactivemq.conf=$home/conf" "-Dactivemq.data=$home/data" \
        -cp "$home/lib/*" org.apache.activemq.console.command.ShellCommand start "xbean:file:$home/conf/activemq.xml"
    wait_for activemq 60 listens "$port"
    echo "127.0.0.1:$port" >"$run/activemq.address"
}

# Messages are taken apart and put together again, as brokers that are JMS inside do: selectors see their properties.
activemq_configure() {
    cat <<C
<beans xmlns="http://www.springframework.org/schema/beans"
       xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
       xsi:schemaLocation="
           http://www.springframework.org/schema/beans http://www.springframework.org/schema/beans/spring-beans-2.0.xsd
           http://activemq.apache.org/schema/core http://activemq.apache.org/schema/core/activemq-core.xsd">
  <broker xmlns="http://activemq.apache.org/schema/core" brokerName="amqp1" useJmx="false" persistent="true"
          dataDirectory="$peers/activemq/data">
    <plugins>
      <simpleAuthenticationPlugin anonymousAccessAllowed="true">
        <users>
          <authenticationUser username="guest" password="guest" groups="users,admins"/>
        </users>
      </simpleAuthenticationPlugin>
    </plugins>
    <systemUsage>
      <systemUsage>
        <memoryUsage><memoryUsage limit="128 mb"/></memoryUsage>
        <storeUsage><storeUsage limit="1 gb"/></storeUsage>
        <tempUsage><tempUsage limit="1 gb"/></tempUsage>
      </systemUsage>
    </systemUsage>
    <transportConnectors>
      <transportConnector name="amqp" uri="amqp://127.0.0.1:$port?transport.transformer=jms"/>
    </transportConnectors>
  </broker>
</beans>
C
}

activemq_stop() {
    end activemq
}
