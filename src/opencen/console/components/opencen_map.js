// The regions of an instance and the connections between them, as a picture without map tiles.
export default {
  template: `
    <svg class="oc-map" :viewBox="'0 0 ' + width + ' ' + height" role="group" :aria-label="label"
        :style="{ maxWidth: width + 'px' }">
      <g v-for="area in areas" :key="area.id" class="oc-map-area">
        <rect :x="area.x" :y="area.y" :width="area.w" :height="area.h" rx="10" />
        <text :x="area.x + area.w / 2" :y="area.y + 24" text-anchor="middle">{{ area.t }}</text>
      </g>
      <g v-for="edge in current" :key="edge.id" class="oc-map-edge" :class="'is-' + edge.level" role="button" tabindex="0"
          :aria-label="edge.label" :data-edge="edge.id" @click="$emit('edge', edge.id)"
          @keydown.enter.prevent="$emit('edge', edge.id)" @keydown.space.prevent="$emit('edge', edge.id)">
        <title>{{ edge.label }}</title>
        <path class="oc-map-hit" :d="edge.d" />
        <path class="oc-map-casing" :d="edge.d" :stroke-width="edge.w + 4" />
        <path class="oc-map-line" :d="edge.d" :stroke-width="edge.w" />
        <g :transform="'translate(' + edge.x + ',' + edge.y + ')'" class="oc-map-tag">
          <rect :x="-edge.tw / 2" y="-19" :width="edge.tw" height="38" rx="5" />
          <text text-anchor="middle" y="-4">{{ edge.t }}</text>
          <text text-anchor="middle" y="12" class="is-use">{{ edge.use }}</text>
        </g>
      </g>
      <g v-for="node in nodes" :key="node.id" class="oc-map-node">
        <rect :x="node.x" :y="node.y" :width="node.w" :height="node.h" rx="6" />
        <text :x="node.x + node.w / 2" :y="node.y + 20" text-anchor="middle">{{ node.t }}</text>
        <text :x="node.x + node.w / 2" :y="node.y + 36" text-anchor="middle" class="is-id">{{ node.sub }}</text>
      </g>
    </svg>`,
  props: { width: Number, height: Number, label: String, areas: Array, nodes: Array, edges: Array },
  emits: ["edge"],
  data() {
    return { current: this.edges };
  },
  watch: {
    edges(edges) {
      this.current = edges;
    },
  },
  methods: {
    patch(edges) {
      this.current = edges;
    },
  },
};
